"""Which files a version consists of: found, held inside the repository, and stamped."""

import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG

from backends.models import config as model_config
from backends.models import pbtxt
from protos.wording import quote

MAX_FILES = 10_000  # in one version's folder

# Reading these runs code that is inside them.
PICKLES = (".pkl", ".pickle", ".pth", ".ckpt", ".joblib")

# Path below the repository, size in bytes, modification time in ns.
Stamp = tuple[tuple[str, int, int], ...]


class Refused(Exception):
    """Why a version can't be served."""


class Artifacts:
    """The rules for one runtime in a repository; `endings` are those of all runtimes."""

    def __init__(self, root: Path, runtime: str, endings: Mapping[str, tuple[str, ...]]) -> None:
        self._root = root
        self._runtime = runtime
        self._endings = endings

    def find(self, place: Path, runtime: str | None) -> Path | None:
        """The file that this runtime would load; None if the version is another runtime's."""
        self.check_inside(place)
        by_runtime: dict[str, list[Path]] = {}
        for path in sorted(place.iterdir()):
            for reader in self.readers(path.name):
                by_runtime.setdefault(reader, []).append(path)
        if not by_runtime:
            raise Refused(nothing_in(place))
        if runtime is not None and runtime not in by_runtime:
            raise Refused(f"runtime is {quote(runtime)}, which reads none of the files here")
        if self._runtime not in by_runtime or runtime not in (None, self._runtime):
            return None
        paths = by_runtime[self._runtime]
        preferred = [path for path in paths if path.stem == "model"]
        if len(preferred or paths) > 1:
            names = ", ".join(path.name for path in preferred or paths)
            raise Refused(f"more than one artifact: {names}; call one model and move the others")
        artifact = (preferred or paths)[0]
        self.check_inside(artifact)
        if not artifact.is_file():
            raise Refused(f"{artifact.name} is not a file")
        return artifact

    def files(self, place: Path, folder: Path) -> list[Path]:
        """The files that a version consists of: all below its folder, hidden ones left out."""
        found: list[Path] = []
        for around, folders, files in os.walk(place):
            top = around == str(folder)
            folders[:] = sorted(
                name
                for name in folders
                if name[0] != "." and name != "__pycache__" and not (top and name.isdigit())
            )
            for name in folders:
                self.check_inside(Path(around, name))
            found.extend(
                Path(around, name)
                for name in sorted(files)
                if name[0] != "." and not (top and name in (model_config.FILE, pbtxt.FILE))
            )
            if len(found) > MAX_FILES:
                raise Refused(f"more than {MAX_FILES} files")
        return found

    def stamp(self, files: list[Path]) -> Stamp:
        found = []
        for path in files:
            self.check_inside(path)
            stat = path.stat()
            if not S_ISREG(stat.st_mode):
                raise Refused(f"{shown(path.name)} is not a file")
            found.append((str(path.relative_to(self._root)), stat.st_size, stat.st_mtime_ns))
        return tuple(found)

    def check_inside(self, path: Path) -> None:
        try:
            inside = path.resolve(strict=True).is_relative_to(self._root.resolve())
        except (OSError, RuntimeError):  # a loop is a RuntimeError
            raise Refused(f"{shown(path.name)} leads nowhere") from None
        if not inside:
            raise Refused(f"{shown(path.name)} is a link that leaves the repository")

    def readers(self, name: str) -> list[str]:
        return [
            runtime
            for runtime, endings in self._endings.items()
            if name[:1] not in ("", ".")  # "..." without its dots is empty
            and any(name == one or (one[0] == "." and name.endswith(one)) for one in endings)
        ]


def first_pickle(folder: Path) -> Path | None:
    return next((path for path in sorted(folder.iterdir()) if path.suffix in PICKLES), None)


def pickled(path: Path) -> str:
    return (
        f"{path.name} is a pickle, which can run any code when it is read; export the model with "
        "torch.export or to ONNX"
    )


def nothing_in(folder: Path) -> str:
    pickle = first_pickle(folder)
    return pickled(pickle) if pickle else "there is no file in it that a runtime reads"


def shown(name: str) -> str:
    """A file's name as text that can travel, whatever bytes it has."""
    return os.fsencode(name).decode("utf-8", "replace")[:128]
