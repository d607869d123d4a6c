"""How chains hold each other: each begins with where those that nobody follows yet have ended.

Which one is the newest is not asked of the clock, which may have been set back.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gateway.audit.files import end_of, is_live, role_of, segments
from gateway.audit.seal import take_apart

LONGEST = 1 << 20  # bytes of a line


def followed(files: Mapping[int, Path]) -> list[dict[str, Any]]:
    """What a chain's first record says of the chains before it, if it is there.

    Nothing, if it says so in another form than this writer's: whoever can write the folder can make
    any record, and neither a gateway that starts nor a reader may fail for it.
    """
    if 0 not in files:
        return []
    with files[0].open("rb") as file:
        line = take_apart(file.readline(LONGEST))
    return [] if line is None or not tells_ends(line.record) else line.record["before"]


def tells_ends(record: Mapping[str, Any]) -> bool:
    """Whether a chain's first record says in a known form which chains end before it."""
    before = record.get("before")
    return isinstance(before, list) and all(
        isinstance(end, dict)
        and isinstance(end.get("chain"), str)
        and type(end.get("n")) is int
        and isinstance(end.get("digest"), str)
        for end in before
    )


def loose_ends(folder: Path, role: str) -> list[dict[str, Any]]:
    """Where the chains of that role end now that no other one follows. Raises OSError."""
    found = segments(folder)
    chains = {name: files for name, files in found.items() if role_of(name) == role}
    held = {each["chain"] for files in chains.values() for each in followed(files)}
    return [_end(name, files) for name, files in chains.items() if name not in held]


def _end(name: str, files: Mapping[int, Path]) -> dict[str, Any]:
    newest, *earlier = [path for _, path in sorted(files.items(), reverse=True)]
    live = is_live(newest)
    end = end_of(newest)
    for path in earlier:
        if end.n >= 0:
            break
        # It was killed before the first record of its last file was whole.
        end = replace(end_of(path), torn=end.torn)
    return {"chain": name, **asdict(end), "live": live}
