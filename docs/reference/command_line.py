"""cli.md: every command with its arguments and options, as `--help` has them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from gateway.cli import app

BACKENDS = Path(__file__).parents[2] / "backends"
# The backend's own commands: where their options are written, which are read as text, since
# importing them imports the frameworks that they bring.
KINDS = {
    "penstock backend RUNTIME": "__main__.py",
    "penstock backend llm": "llm/command.py",
    "penstock backend openai": "openai/command.py",
}
INTRODUCTION = """# Command line

Made from the code by `make reference`. `--config FILE` is `penstock.yaml` here unless `PENSTOCK_CONFIG` names another; commands that ask a gateway need `--port-offset N` where it was started with one.
"""  # noqa: E501
ANSWERS = """
## Statuses

0: done. 1: what was asked for isn't so (routes that don't hold, a report of nothing, an audit log that was changed). 2: a wrong option, file or answer, in one sentence on standard error.
"""  # noqa: E501

KINDS_OF_VALUES = {"int": "INTEGER", "float": "FLOAT", "Path": "PATH", "path": "PATH"}

Row = tuple[str, str, str]  # what is written, its default, its help


def page() -> str:
    command = typer.main.get_command(app)
    parts = [INTRODUCTION, *(_section(name, each) for name, each in _commands("penstock", command))]
    parts += [_backend(name, file) for name, file in KINDS.items()]
    return "\n".join([*parts, _common(), ANSWERS.lstrip()])


def _commands(name: str, command: Any) -> Iterator[tuple[str, TyperCommand]]:
    """Those that can be run, without the backend's, which has others' options."""
    if isinstance(command, TyperGroup):
        for part, each in sorted(command.commands.items()):
            if not each.hidden and part != "backend":
                yield from _commands(f"{name} {part}", each)
    else:
        yield name, command


def _section(name: str, command: TyperCommand) -> str:
    arguments = [each for each in command.params if not isinstance(each, TyperOption)]
    options = [each for each in command.params if isinstance(each, TyperOption)]
    usage = " ".join([name, *(_argument(each) for each in arguments)])
    context = typer.Context(command)
    rows = (_row(each, context) for each in [*arguments, *options])
    return _written(usage, command.help or "", rows)


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def _row(parameter: Any, context: typer.Context) -> Row:
    help_ = parameter.help or ""
    if not isinstance(parameter, TyperOption):
        return parameter.metavar or parameter.name.upper(), "", help_
    told = (
        ""
        if parameter.is_flag
        else f" {parameter.metavar or _kind(parameter.display_type(context).strip('<>'))}"
    )
    default = "required" if parameter.required else _default(parameter.default)
    return ", ".join(parameter.opts) + told, default, help_


def _default(value: object) -> str:
    return "" if value is None or value is False or value == "" else f"`{value}`"


def _written(usage: str, help_: str, rows: Iterator[Row]) -> str:
    text = " ".join(help_.split())
    table = [f"| `{_cell(what)}` | {default} | {_cell(said)} |" for what, default, said in rows]
    head = ["", "| | default | |", "|---|---|---|"] if table else []
    return "\n".join([f"## {usage}", *(["", text] if text else []), *head, *table, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _backend(name: str, file: str) -> str:
    function = _function(file, "main")
    return _written(name, ast.get_docstring(function) or "", _options(function))


def _common() -> str:
    """The options that all backends have."""
    function = _function("options.py", "place")
    return _written("Every penstock backend", "", _options(function))


def _function(file: str, name: str) -> ast.FunctionDef:
    tree = ast.parse((BACKENDS / file).read_text())
    return next(
        each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == name
    )


def _options(function: ast.FunctionDef) -> Iterator[Row]:
    named = function.args
    missing: list[ast.expr | None] = [None] * (len(named.args) - len(named.defaults))
    defaults = [*missing, *named.defaults, *named.kw_defaults]
    for argument, default in zip([*named.args, *named.kwonlyargs], defaults, strict=True):
        match argument.annotation:
            case ast.Subscript(slice=ast.Tuple(elts=[type_, ast.Call() as told])):
                yield _option(argument.arg, ast.unparse(type_), told, default)


def _option(name: str, type_: str, told: ast.Call, default: ast.expr | None) -> Row:
    given: dict[str, Any] = {each.arg or "": _literal(each.value) for each in told.keywords}
    if ast.unparse(told.func) == "typer.Argument":
        return name.upper(), "required", str(given["help"])
    option = str(_literal(told.args[0])) if told.args else f"--{name.replace('_', '-')}"
    value = "" if type_ == "bool" else f" {given.get('metavar') or _kind(type_)}"
    standard = "required" if default is None else _default(_literal(default))
    return f"{option}{value}", standard, str(given.get("help", ""))


def _kind(type_: str) -> str:
    """What stands for a value of the type; choices stand for themselves."""
    plain = type_.removesuffix(" | None").removesuffix(" range")
    plain = plain.removeprefix("list[").removesuffix("]")
    return plain if "|" in plain else KINDS_OF_VALUES.get(plain, "TEXT")


def _literal(expression: ast.expr) -> object:
    try:
        return ast.literal_eval(expression)
    except ValueError:
        return ast.unparse(expression)
