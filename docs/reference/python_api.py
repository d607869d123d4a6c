"""python.md: the types that policies and runtimes of others meet, from their own text."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Modules, and of some only what is others' affair.
MODULES: dict[str, set[str]] = {
    "protos.service": set(),
    "protos.values": set(),
    "protos.principal": set(),
    "protos.errors": set(),
    "protos.settings": set(),
    "protos.text": set(),
    "policies.plugins": {"PluginPolicy"},
    "backends.runtime": set(),
    "backends.runtimes": {"RuntimeModule"},
}
INTRODUCTION = """# Python

Made from the code by `make reference`: what policies and runtimes of your own are handed, and what they give back. [plugins.md](../plugins.md) shows one of each.
"""  # noqa: E501


def page() -> str:
    return "\n".join([INTRODUCTION, *(_section(module, only) for module, only in MODULES.items())])


def _section(module: str, only: set[str]) -> str:
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(file.read_text())
    told = [
        _outline(each)
        for each in tree.body
        if _public(each) and (not only or getattr(each, "name", "") in only)
    ]
    code = "\n\n\n".join(ast.unparse(each) for each in told)
    docstring = (ast.get_docstring(tree) or "").strip()
    return f"## {module}\n\n{docstring}\n\n```python\n{code}\n```\n"


def _public(statement: ast.stmt) -> bool:
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return not name.startswith("_")
        case ast.Assign(targets=[ast.Name(id=name)]):  # a type's other name
            return name[0].isupper() and not name.isupper()
        case ast.AnnAssign(target=ast.Name(id=name)):
            return not name.startswith("_")
    return False


def _outline(statement: ast.stmt) -> ast.stmt:
    """The statement without what it does: bodies are their docstrings, or `...`."""
    if isinstance(statement, ast.ClassDef):
        kept = [_outline(each) for each in statement.body if _told(each)]
        statement.body = kept or [_nothing()]
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        docstring = ast.get_docstring(statement)
        statement.body = [statement.body[0] if docstring else _nothing()]
    return statement


def _told(statement: ast.stmt) -> bool:
    match statement:
        case ast.FunctionDef(name="__init__") | ast.FunctionDef(name="__call__"):
            return True
        case ast.Expr(value=ast.Constant(value=str())) | ast.Assign(targets=[ast.Name()]):
            return True
    return _public(statement)


def _nothing() -> ast.Expr:
    return ast.Expr(ast.Constant(...))
