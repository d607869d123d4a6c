"""What this machine can do, asked at the start: what can't be run is reported as not run."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path

from chaos.faults import cgroup


class Need(StrEnum):
    """What an experiment needs besides processes and loopback."""

    NAMESPACE = "network namespaces with nft (root; package nftables)"
    FAKETIME = "libfaketime (package libfaketime)"
    REDIS = "redis-server (package redis-server)"
    MEMORY_CGROUP = "control groups with memory (root)"
    CPU_CGROUP = "control groups with cpu (root)"
    HAPROXY = "haproxy (package haproxy)"


@cache
def has(need: Need) -> bool:
    return _CHECKS[need]()


def missing(needs: tuple[Need, ...]) -> list[Need]:
    return [need for need in needs if not has(need)]


def find(program: str) -> Path:
    """The program's path. Raises FileNotFoundError."""
    found = shutil.which(program, path=_PATH)
    if found is None:
        raise FileNotFoundError(program)
    return Path(found)


def faketime_library() -> Path | None:
    places = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")
    return next((file for place in places for file in _files(place, "libfaketime.so.1")), None)


def _files(place: str, name: str) -> Iterator[Path]:
    return Path("/").glob(f"{place.lstrip('/')}/{name}")


def _namespace() -> bool:
    script = (
        "nft add table inet t && nft add chain inet t c '{ type filter hook output priority 0; }'"
    )
    return _runs("unshare", "--net", "sh", "-c", f"ip link set lo up && {script}")


def _installed(program: str) -> Callable[[], bool]:
    return lambda: shutil.which(program, path=_PATH) is not None


def _runs(*command: str) -> bool:
    try:
        return not subprocess.run(command, capture_output=True, timeout=10.0).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


_PATH = ":".join(("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"))
_CHECKS: dict[Need, Callable[[], bool]] = {
    Need.NAMESPACE: _namespace,
    Need.FAKETIME: lambda: faketime_library() is not None,
    Need.REDIS: _installed("redis-server"),
    Need.MEMORY_CGROUP: lambda: cgroup.has("memory"),
    Need.CPU_CGROUP: lambda: cgroup.has("cpu"),
    Need.HAPROXY: _installed("haproxy"),
}
