"""What requirements.lock says: `python deploy/locked.py EXTRA,… > requirements.txt`.

Prints what Penstock with these extras of pyproject.toml needs, in pip's format with hashes, for
`pip install --require-hashes --no-deps`. Sources are not built, since what that needs would be
fetched unchecked and they may do anything. torch is left out: which build of it is right depends on
the machine. Standard library only, since this runs before anything is installed.
"""

import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
APART = "torch"
# What tests and benchmarks call Triton's own client with: CPython 3.11 alone has wheels of it.
FROM_SOURCE = ("geventhttpclient",)
BUILD = "penstock[build]"  # what builds Penstock itself, without pip's isolation


class Locked(NamedTuple):
    """A package: its requirement without hashes, those, and who asks for it."""

    name: str
    requirement: str
    hashes: tuple[str, ...]
    via: tuple[str, ...]

    def lines(self) -> str:
        return " \\\n".join([self.requirement, *(f"    --hash=sha256:{h}" for h in self.hashes)])


def read(lock: Path = LOCK) -> dict[str, Locked]:
    """By name. Raises ValueError for a line that isn't of the lock's form."""
    found: dict[str, Locked] = {}
    requirement, hashes = "", list[str]()
    for number, line in enumerate(lock.read_text().splitlines(), 1):
        text = line.strip().removesuffix("\\").strip()
        if not text or (text.startswith("#") and not requirement):
            continue
        if text.startswith("# via "):
            name = re.split(r"==", requirement)[0]
            via = tuple(text.removeprefix("# via ").split(", "))
            found[name] = Locked(name, requirement, tuple(hashes), via)
            requirement, hashes = "", []
        elif text.startswith("--hash=sha256:"):
            hashes.append(text.removeprefix("--hash=sha256:"))
        elif "==" in text and not requirement:
            requirement = text
        else:
            raise ValueError(f"{lock.name}, line {number}: not a requirement, a hash or `# via`")
    return found


def needed(locked: dict[str, Locked], extras: Collection[str]) -> Iterator[Locked]:
    """What builds `penstock[extras]`, and what it and all that it brings along need, in order.

    Raises ValueError for an extra that nothing in the lock belongs to.
    """
    wanted = {"penstock", BUILD, *(f"penstock[{each}]" for each in extras)}
    known = {via for each in locked.values() for via in each.via}
    if missing := wanted - known:
        raise ValueError(f"requirements.lock knows nothing of {', '.join(sorted(missing))}")
    chosen: set[str] = set()
    while new := {
        name for name, each in locked.items() if name not in chosen and wanted & {*each.via}
    }:
        chosen |= new
        wanted |= new
    return (each for name, each in locked.items() if name in chosen and name != APART)


def requirements(extras: Collection[str], lock: Path = LOCK) -> str:
    chosen = list(needed(read(lock), extras))
    wheels = [f"--only-binary={each.name}" for each in chosen if each.name not in FROM_SOURCE]
    return "".join(f"{each}\n" for each in (*wheels, *(each.lines() for each in chosen)))


if __name__ == "__main__":
    print(requirements([each for each in sys.argv[1].split(",") if each]), end="")
