"""Reads records for people and programs; what they prove is `verify`'s business."""

import heapq
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.audit.files import end_of, segments
from gateway.audit.seal import take_apart

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are asked for; what is empty is anything. Times are Unix seconds."""

    since: float = 0.0
    until: float = float("inf")
    tenant: str = ""
    decision: str = ""
    what: str = ""

    def takes(self, record: Told) -> bool:
        at = record.get("at", 0.0)
        what = str(record.get("what"))
        return (
            self.since <= at < self.until
            and self.tenant in ("", record.get("tenant"))
            and self.decision in ("", record.get("decision"))
            and (self.what in ("", what) or what.startswith(f"{self.what}."))
        )


def records(folder: Path, wanted: Wanted) -> Iterator[Told]:
    """The records of all chains in the order of their times. Raises OSError.

    Each has `file` and `line`, counted from 1; lines that are no records are passed over.
    """
    chains = [_chain(files.values(), wanted) for files in segments(folder).values()]
    return heapq.merge(*chains, key=lambda record: float(record.get("at", 0.0)))


def _chain(files: Iterable[Path], wanted: Wanted) -> Iterator[Told]:
    for path in files:
        if path.stat().st_mtime < wanted.since:
            continue  # nothing has been written since
        with path.open("rb") as file:
            yield from _wanted(path, enumerate(file, 1), wanted)


def _wanted(path: Path, lines: Iterable[tuple[int, bytes]], wanted: Wanted) -> Iterator[Told]:
    for number, text in lines:
        line = take_apart(text)
        if line is not None and wanted.takes(line.record):
            yield {**line.record, "file": path.name, "line": number}


class Follower:
    """What is written from now on, by whichever process."""

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        self._folder = folder
        self._wanted = wanted
        self._read = {path: path.stat().st_size - end_of(path).torn for path in self._paths()}

    def look(self) -> list[Told]:
        """The records since the last look, of whole lines only."""
        found: list[Told] = []
        for path in self._paths():
            begin = self._read.get(path, 0)
            with path.open("rb") as file:
                file.seek(begin)
                whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._read[path] = begin + len(whole) + 1
                lines = ((0, line + b"\n") for line in whole.split(b"\n"))
                found += _wanted(path, lines, self._wanted)
        return sorted(found, key=lambda record: float(record.get("at", 0.0)))

    def _paths(self) -> list[Path]:
        return [path for files in segments(self._folder).values() for path in files.values()]


def as_json(record: Told) -> str:
    """One line, without what only shows where the record lies."""
    return json.dumps({name: value for name, value in record.items() if name not in _PLACE})


_PLACE = ("file", "line")
