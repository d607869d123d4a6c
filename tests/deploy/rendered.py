"""What the chart makes of values, as the objects that a cluster would be given."""

import ast
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"

Object = dict[str, Any]

# A program, not a module of a package.
RENDER = runpy.run_path(str(DEPLOY / "kubernetes" / "render.py"))


def objects(values: Mapping[str, Any]) -> list[Object]:
    texts = RENDER["render"](values).values()
    return [each for text in texts for each in documents(text)]


def documents(text: str) -> Iterator[Object]:
    """Objects of manifests; what isn't one (the notes) is none."""
    if "apiVersion:" in text:
        yield from (each for each in yaml.safe_load_all(text) if each)


def of_kind(found: list[Object], kind: str) -> dict[str, Object]:
    """By name."""
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


def pod(workload: Object) -> Object:
    spec: Object = workload["spec"]["template"]["spec"]
    return spec


def unknown_options(arguments: list[str]) -> set[str]:
    """Those of `penstock backend RUNTIME …` that its command doesn't have.

    Commands are read without importing them and the frameworks that they bring.
    """
    runtime, *rest = arguments
    file = {"llm": "llm/command.py", "openai": "openai/command.py"}.get(runtime, "__main__.py")
    known = _options("options.py", "place") | _options(file, "main")
    return {each.partition("=")[0] for each in rest if each.startswith("--")} - known


def _options(file: str, command: str) -> set[str]:
    tree = ast.parse((ROOT / "backends" / file).read_text())
    (function,) = [
        each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == command
    ]
    parameters = [*function.args.args, *function.args.kwonlyargs]
    return {f"--{each.arg.replace('_', '-')}" for each in parameters}
