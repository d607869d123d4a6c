"""Loads a model, or says why it can't be."""

from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.pii.deep.model import Model


def load(name: str, entities: Collection[str]) -> "Model":
    """The model of a policy. It takes seconds. Raises ValueError with a sentence."""
    if not (Path(name).is_dir() or _is_installed(name)):
        raise ValueError(f"{name} is neither an installed spaCy model nor a folder with one")
    try:
        from policies.pii.deep.model import Model
    except ImportError as error:
        missing = error.name or error
        raise ValueError(f"{missing} is not installed: it comes with the extra pii-deep") from None
    try:
        return Model(name, entities)
    except OSError as error:
        raise ValueError(str(error)) from None


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
