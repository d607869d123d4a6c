"""The frameworks that can serve: a file here, or an entry point of the group `penstock.runtimes`.

Each is a module with
`EXTENSIONS`: a literal tuple of file name endings (".onnx") or whole names ("model.py"),
`RUNS_CODE`: whether its artifacts are code, which needs the operator's consent, and
`create(artifact: Path, config: ModelConfig, device: str, threads: int) -> Runtime`.
"""

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, cast

from backends.models.config import ModelConfig
from backends.runtime import Runtime
from protos.wording import did_you_mean, quote


class RuntimeModule(Protocol):
    """What a runtime's module exports."""

    EXTENSIONS: tuple[str, ...]
    RUNS_CODE: bool
    create: Callable[[Path, ModelConfig, str, int], Runtime]


def names() -> dict[str, str]:
    """Runtime name to the name of its module; a built-in file wins over an entry point."""
    found = {point.name: point.value for point in entry_points(group="penstock.runtimes")}
    for module in pkgutil.iter_modules(__path__):
        found[module.name] = f"{__name__}.{module.name}"
    return found


def extensions() -> dict[str, tuple[str, ...]]:
    """Which files each runtime reads.

    Taken from the modules' text: importing them would import the frameworks, of which a process
    needs one and a machine may not have the others.
    """
    return {name: _extensions(module) for name, module in names().items()}


def load(name: str) -> RuntimeModule:
    """Imports the runtime.

    Raises ValueError with a sentence if there is none of that name, or its framework is missing.
    """
    known = names()
    if name not in known:
        there_are = ", ".join(sorted({*known, "llm", "openai"}))
        hint = did_you_mean(name, known)
        raise ValueError(f"there is no runtime {quote(name)} among {there_are}{hint}")
    try:
        return cast(RuntimeModule, importlib.import_module(known[name]))
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the runtime {quote(name)} needs the package {error.name}, which is not installed"
        ) from None


def _extensions(module: str) -> tuple[str, ...]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ()
    for statement in ast.parse(Path(spec.origin).read_bytes()).body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "EXTENSIONS"
            for target in statement.targets
        ):
            return tuple(ast.literal_eval(statement.value))
    return ()
