"""The files of the log: what they are called, and what can be told without reading them all."""

import fcntl
import os
import re
from dataclasses import dataclass
from pathlib import Path

from gateway.audit.seal import take_apart

_NAME = re.compile(r"([0-9]{8}T[0-9]{6}\.[0-9]{6}Z-([a-z0-9-]+)-[0-9a-f]{8})\.([0-9]{6})\.jsonl")
_LOOKED_BACK = 1 << 20  # bytes at the end of a file in which its last record is looked for


def segment_path(folder: Path, chain: str, segment: int) -> Path:
    return folder / f"{chain}.{segment:06d}.jsonl"


def segments(folder: Path) -> dict[str, dict[int, Path]]:
    """The files in a folder, by chain and number, in the order of time. Raises OSError."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        if (match := _NAME.fullmatch(path.name)) is not None:
            found.setdefault(match[1], {})[int(match[3])] = path
    return found


def role_of(chain: str) -> str:
    """Which process of a gateway wrote a chain."""
    match = _NAME.fullmatch(f"{chain}.000000.jsonl")
    return "" if match is None else match[2]


def is_live(path: Path) -> bool:
    """Whether a process holds the file to write it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class End:
    """The last whole record of a file, -1 and "" for none, and the bytes of half a one behind it.

    `closed` where that record is a chain's last.
    """

    n: int
    digest: str
    closed: bool
    torn: int


def end_of(path: Path) -> End:
    """Where a file ends now. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LOOKED_BACK))
        whole, _, torn = file.read().rpartition(b"\n")
    last = take_apart(whole.rpartition(b"\n")[2] + b"\n")
    if last is None:
        return End(-1, "", False, len(torn))
    closed = last.record.get("what") == "end"
    return End(last.record["n"], last.digest.decode(), closed, len(torn))
