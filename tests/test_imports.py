"""`protos ← {routing, policies, backends} ← gateway ← {tests, chaos}`, read from syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAY_IMPORT = {
    "protos": {"protos"},
    "routing": {"protos", "routing"},
    "policies": {"protos", "policies"},
    "backends": {"protos", "backends"},
    "gateway": {"protos", "routing", "policies", "gateway"},
    "chaos": {"protos", "routing", "policies", "backends", "gateway", "chaos"},
}
OURS = {*MAY_IMPORT, "tests", "chaos", "benchmarks", "deploy"}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which package is meant"
            yield node.module or ""


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_stands_below_it(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imported(ast.parse(file.read_text()))
        if (top := name.partition(".")[0]) in OURS and top not in MAY_IMPORT[package]
    ]
    assert wrong == []


def test_codecs_know_no_server() -> None:
    wrong = [
        f"{file.name} imports {name}"
        for file in (ROOT / "protos").glob("*.py")
        for name in imported(ast.parse(file.read_text()))
        if name.partition(".")[0] in {"starlette", "uvicorn", "asyncio"}
    ]
    assert wrong == []
