"""Which files of the log are removed, and what is remembered of them."""

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

from gateway.audit.files import end_of, is_live, role_of, segments


def forgettable(folder: Path, before: float, most: float = inf, spared: str = "") -> list[Path]:
    """Files that were written last before that Unix time, and the oldest while all have more than
    `most` bytes: of each chain only its first ones, and none that is being written.

    Those of the role `spared` are the last ones to go for want of room: its files say what else was
    removed, and what is left is verified by that.
    """
    found: list[Path] = []
    chains = [
        (role_of(name) == spared, [(path, path.stat()) for _, path in sorted(files.items())])
        for name, files in segments(folder).items()
    ]
    total = sum(stat.st_size for _, files in chains for _, stat in files)
    while chains := [each for each in chains if each[1]]:
        _, files = min(chains, key=lambda each: (each[0] and total > most, each[1][0][1].st_mtime))
        path, stat = files[0]
        if total <= most and stat.st_mtime >= before:
            break
        if is_live(path):
            files.clear()
            continue
        found.append(path)
        total -= stat.st_size
        del files[0]
    return found


def forgotten(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """What the record of a removal says: where each file ended, so that the rest still fits."""
    ends = [(path.name, end_of(path)) for path in paths]
    return [{"file": name, "n": end.n, "digest": end.digest} for name, end in ends]
