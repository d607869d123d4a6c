"""`python -m tests.fuzz TARGET --seconds N`: atheris (libFuzzer), from the committed corpus on.

What is new and interesting is thrown away unless `--keep` says otherwise, when what the corpus
needs of it for its coverage is added. An input that breaks something is written to `--crashes`.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

from tests.fuzz.targets_there import CORPUS, TARGETS, load

SLOW = 10  # seconds for one input, from which on it counts as a hang
MEMORY = 2048  # MiB
LONGEST = 4096  # bytes of an input
SMALL = 1024  # of one that is kept
MOST = 64  # inputs of a target
PACKAGES = ["protos", "policies", "gateway", "backends", "routing", "yaml", "json", "jwt"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true", help="add what is new to the corpus")
    parser.add_argument("--crashes", type=Path, default=Path(".fuzz"), metavar="FOLDER")
    parser.add_argument("--libfuzzer", action="store_true", help=argparse.SUPPRESS)
    given, rest = parser.parse_known_args()
    if given.libfuzzer:
        _fuzz(given.target, rest)
    given.crashes.mkdir(parents=True, exist_ok=True)
    seeds = CORPUS / given.target
    seeds.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as found:
        ended = _run(
            given.target,
            found,
            str(seeds),
            f"-max_total_time={given.seconds}",
            f"-timeout={SLOW}",
            f"-rss_limit_mb={MEMORY}",
            f"-max_len={LONGEST}",
            f"-artifact_prefix={given.crashes}/{given.target}-",
            "-print_final_stats=1",
        )
        if given.keep and ended == 0:
            _keep(given.target, seeds, Path(found))
    return ended


def _keep(target: str, seeds: Path, found: Path) -> None:
    """Adds the smallest inputs that reach what the seeds don't, as long as those are few."""
    for path in found.iterdir():
        if path.stat().st_size > SMALL:
            path.unlink()
    with TemporaryDirectory() as merged:
        for path in seeds.iterdir():
            shutil.copy(path, merged)
        _run(target, "-merge=1", merged, str(found))
        new = [path for path in Path(merged).iterdir() if not (seeds / path.name).exists()]
        room = max(0, MOST - len(list(seeds.iterdir())))
        for path in sorted(new, key=lambda path: path.stat().st_size)[:room]:
            shutil.copy(path, seeds)


def _run(target: str, *arguments: str) -> int:
    # In a process of its own, as libFuzzer ends the one that it runs in.
    return subprocess.run([*_command(target), *arguments], check=False).returncode


def _command(target: str) -> list[str]:
    return [sys.executable, "-m", "tests.fuzz", target, "--libfuzzer"]


def _fuzz(target: str, arguments: list[str]) -> None:
    with atheris.instrument_imports(include=PACKAGES):
        one = load(target)
    # To merge, libFuzzer starts its own command line again, by a shell.
    atheris.Setup([shlex.join(_command(target)), *arguments], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
