"""Reads the folder of routes and of the policies that they name."""

import errno
from pathlib import Path

from gateway.routes.documents import Documents, check_texts
from protos.strict_yaml import ConfigError

LARGEST = 1 << 20  # bytes of a document
SUFFIXES = (".yaml", ".yml")


def load_folder(path: Path) -> Documents:
    """The documents in a folder.

    Files end in .yaml or .yml and hold one document each; hidden ones and folders in the folder are
    not looked at, links are followed, so that a folder mounted by Kubernetes is read as it should.
    Raises ConfigError with every problem of every file.
    """
    problems: list[ConfigError] = []
    texts: list[tuple[str, str]] = []
    for file in _files(path):
        try:
            texts.append((str(file), _text(file)))
        except ConfigError as error:
            problems.append(error)
    return check_texts(texts, problems)


def signature(path: Path) -> object:
    """Equal while no file of the folder has changed: name, time, size, and where links lead."""
    try:
        files = _files(path)
    except ConfigError as error:
        return str(error)
    return [(file.name, _stamp(file)) for file in files]


def _files(path: Path) -> list[Path]:
    try:
        entries = list(path.iterdir())
    except OSError as failure:
        raise ConfigError(str(path), 1, _why(failure)) from failure
    named = (e for e in entries if e.suffix in SUFFIXES and not e.name.startswith("."))
    # A broken link is not passed over: a route would be missing, and nobody would know.
    return sorted(each for each in named if not each.is_dir())


def _text(file: Path) -> str:
    try:
        if not file.is_file() and file.exists():
            raise ConfigError(str(file), 1, "is not a file")
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as failure:
        raise ConfigError(str(file), 1, _why(failure)) from failure
    if len(content) > LARGEST:
        raise ConfigError(str(file), 1, f"is larger than a document may be, {LARGEST >> 20} MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as failure:
        line = content.count(b"\n", 0, failure.start) + 1
        raise ConfigError(str(file), line, "is not UTF-8") from failure


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError as failure:
        return (failure.errno or errno.EIO,)
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev


def _why(failure: OSError) -> str:
    return failure.strerror or "cannot be read"
