"""The targets by name: a file each in `targets/`, whose `one` takes bytes and raises for a bug."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

Target = Callable[[bytes], None]

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
TARGETS = tuple(sorted(path.stem for path in (HERE / "targets").glob("*.py")))


def load(name: str) -> Target:
    target: Target = import_module(f"tests.fuzz.targets.{name}").one
    return target


def corpus(name: str) -> list[Path]:
    return sorted((CORPUS / name).iterdir())
