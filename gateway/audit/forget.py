"""Which files of the log are old enough to be removed, and what is remembered of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.audit.files import end_of, is_live, segments


def forgettable(folder: Path, before: float) -> list[Path]:
    """Files that were written last before that Unix time: of each chain only its first ones."""
    found: list[Path] = []
    for files in segments(folder).values():
        for _, path in sorted(files.items()):
            if path.stat().st_mtime >= before or is_live(path):
                break
            found.append(path)
    return found


def forgotten(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """What the record of a removal says: where each file ended, so that the rest still fits."""
    ends = [(path.name, end_of(path)) for path in paths]
    return [{"file": name, "n": end.n, "digest": end.digest} for name, end in ends]
