"""Finds the servers that tests use: `python tests/servers.py` (make test).

Nothing is installed on a machine unless CI=true asks for it; tests whose server is missing are
skipped by name, which CI takes as a failure.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from glob import glob
from pathlib import Path

import pytest

# Debian's package, and where its programs may lie besides PATH.
PACKAGES = {
    "postgres": ("postgresql", "/usr/lib/postgresql/*/bin"),
    "chromium": ("chromium", ""),
    "redis-server": ("redis-server", ""),
    "prometheus": ("prometheus", ""),
    "promtool": ("prometheus", ""),
    "haproxy": ("haproxy", "/usr/sbin"),
    "curl": ("curl", ""),
}


def find(program: str) -> Path | None:
    """Where the program is; None when this machine hasn't got it."""
    _, folders = PACKAGES[program]
    found = shutil.which(program)
    if found is None:
        found = next((f for f in sorted(_programs(program, folders), reverse=True)), None)
    return None if found is None else Path(found)


def find_jaeger() -> Path | None:
    """The program; no package manager has it, so PENSTOCK_JAEGER or the path must."""
    named = os.environ.get("PENSTOCK_JAEGER")
    found = named or shutil.which("jaeger") or shutil.which("jaeger-all-in-one")
    return None if found is None else Path(found)


def _programs(program: str, folders: str) -> Iterable[str]:
    return glob(f"{folders}/{program}") if folders else ()


def program(name: str) -> Path:
    """Where the server's program is; skips the test, naming it, when this machine hasn't got it."""
    found = find(name)
    if found is None:
        pytest.skip(f"{name} is not here (apt-get install {PACKAGES[name][0]})")
    return found


def main() -> int:
    missing = [program for program in PACKAGES if find(program) is None]
    if missing and os.environ.get("CI") == "true":
        print(f"Installing what tests need: {', '.join(missing)}")
        _install([PACKAGES[program][0] for program in missing])
        missing = [program for program in PACKAGES if find(program) is None]
    for program in missing:
        package = PACKAGES[program][0]
        print(f"{program} is not here: its tests will not be run (apt-get install {package})")
    return 0


def _install(packages: list[str]) -> None:
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for attempt in (["apt-get", "update"], command):
        done = subprocess.run(attempt, env=environment, capture_output=True, text=True)
        if done.returncode:
            print(f"{' '.join(attempt)} failed: {done.stderr.strip()[-500:]}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
