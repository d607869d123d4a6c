"""Logs written for tests by the code that writes them, with small files and their own clock."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from gateway.audit.chain import Chain
from gateway.audit.seal import Seal

KEYED = Seal(b"sixteen bytes or more")
START = 1_800_000_000.0  # Unix time


class Wall:
    """Unix time that goes on by a second whenever somebody looks."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def chain(
    folder: Path,
    wall: Wall,
    *,
    role: str = "worker-0",
    seal: Seal = KEYED,
    segment_bytes: float = 600.0,
    segment_time: float = 1e9,
) -> Chain:
    return Chain(
        folder, role, seal, segment_bytes=segment_bytes, segment_time=segment_time, wall=wall
    )


def write(chain: Chain, count: int) -> None:
    """So many records, in batches of one, two, three …"""
    numbers: Iterator[int] = iter(range(count))
    for size in itertools.count(1):
        batch = [{"at": START, "what": "request", "i": i} for i in itertools.islice(numbers, size)]
        if not batch:
            return
        chain.append(batch)


def log(folder: Path, *, records: int = 12, closed: bool = True, wall: Wall | None = None) -> Path:
    """A folder with one chain of several files."""
    written = chain(folder, wall or Wall())
    write(written, records)
    if closed:
        written.close()
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def lines(folder: Path) -> list[tuple[Path, int, bytes]]:
    """All lines: file, index from 0, text."""
    return [
        (path, index, line)
        for path in files(folder)
        for index, line in enumerate(path.read_bytes().splitlines(keepends=True))
    ]


def rewrite(path: Path, content: list[bytes]) -> None:
    path.write_bytes(b"".join(content))
