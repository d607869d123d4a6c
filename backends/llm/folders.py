"""What lies in a repository: a model in each folder with a config.json, and its adapters in it."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from backends.llm import adapters as adapter_files
from backends.models.config import name_fault
from protos.wording import quote

CONFIG = "config.json"
ADAPTERS = "adapters"  # in a model's folder: each a folder in PEFT's form
# What answers depend on, of what lies in a model's folder.
MATTERS = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")

# Of each file: name, size, time of change; empty while it can't be said.
Stamp = tuple[tuple[str, int, int], ...]


def models_in(root: Path) -> tuple[dict[str, Stamp], dict[str, str]]:
    """The models by name, and the folders that can't be served by that name, with the reason.

    Raises OSError if the repository can't be read.
    """
    found: dict[str, Stamp] = {}
    faults: dict[str, str] = {}
    for folder in sorted(root.iterdir()):
        if (folder / CONFIG).is_file():
            fault = name_fault(folder.name)
            if fault is None:
                found[folder.name] = stamp_of(folder)
            else:
                faults[folder.name] = fault
    return found, faults


def adapters_in(folder: Path) -> dict[str, Stamp]:
    """Those of the model in the folder, by their own names; raises OSError as `models_in`."""
    root = folder / ADAPTERS
    return {
        each.name: _stamp(each, Path.iterdir)
        for each in (sorted(root.iterdir()) if root.is_dir() else ())
        if (each / adapter_files.CONFIG).is_file() and name_fault(each.name) is None
    }


def stamp_of(folder: Path) -> Stamp:
    """Of a model's own files."""
    return _stamp(folder, files_of)


def files_of(folder: Path) -> list[Path]:
    """What answers depend on."""
    return sorted({path for pattern in MATTERS for path in folder.glob(pattern)})


def check_links(root: Path, folder: Path) -> None:
    """Raises ValueError for links that lead out of the repository."""
    inside = root.resolve()
    for path in (folder, *folder.iterdir()):
        if not path.resolve().is_relative_to(inside):
            raise ValueError(f"{quote(path.name)} is a link that leaves the model repository")


def revision_of(folder: Path, beside: str) -> str:
    """The digest of what answers depend on, the same on every machine."""
    whole = hashlib.sha256(beside.encode())
    for path in files_of(folder):
        whole.update(path.name.encode("utf-8", "surrogateescape") + b"\0")
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _stamp(folder: Path, files: Callable[[Path], Iterable[Path]]) -> Stamp:
    try:
        return tuple(
            (path.name, path.stat().st_size, path.stat().st_mtime_ns)
            for path in sorted(files(folder))
        )
    except OSError:
        return ()  # it is just being changed, and looked at again
