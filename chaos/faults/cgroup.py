"""Caps of memory and of processor time for one process, by control groups of version 1 or 2."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PERIOD = 100_000  # microseconds of processor time are given out anew


def has(controller: str) -> bool:
    """Whether this process may make groups of the controller, `memory` or `cpu`."""
    try:
        with _group(controller, "probe"):
            return True
    except OSError:
        return False


@contextmanager
def memory(pid: int, most: int) -> Iterator[None]:
    """The process gets at most so many bytes; beyond them the kernel kills it."""
    with _group("memory", f"memory-{pid}") as group:
        name = "memory.max" if _unified() else "memory.limit_in_bytes"
        (group / name).write_text(str(most))
        with _within(group, pid):
            yield


@contextmanager
def processor(pid: int, share: float) -> Iterator[None]:
    """The process gets that share of one core."""
    quota = int(share * _PERIOD)
    with _group("cpu", f"cpu-{pid}") as group:
        if _unified():
            (group / "cpu.max").write_text(f"{quota} {_PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        with _within(group, pid):
            yield


@contextmanager
def _group(controller: str, name: str) -> Iterator[Path]:
    """A new group; raises OSError where none can be made."""
    parent = _ROOT if _unified() else _ROOT / controller
    if _unified() and controller not in (parent / "cgroup.subtree_control").read_text().split():
        raise PermissionError(f"the controller {controller} is not given to groups here")
    group = parent / f"penstock-chaos-{os.getpid()}-{name}"
    group.mkdir()
    try:
        yield group
    finally:
        group.rmdir()


@contextmanager
def _within(group: Path, pid: int) -> Iterator[None]:
    """Moves the process into the group, and out of it before the group goes."""
    (group / "cgroup.procs").write_text(str(pid))
    try:
        yield
    finally:
        for left in (group / "cgroup.procs").read_text().split():
            try:
                (group.parent / "cgroup.procs").write_text(left)
            except ProcessLookupError:
                continue  # it has ended meanwhile


def _unified() -> bool:
    return (_ROOT / "cgroup.controllers").exists()
