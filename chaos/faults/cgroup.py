"""Caps of memory and of processor time for one process, by control groups of version 1 or 2.

A group lies beside the machine's own and is named after the process that made it. The capped one
goes back to where it was before the group goes.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_NAME = "penstock-chaos"
_EMPTYING = 5.0  # seconds that processes which were killed may take to be gone
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
    home = _home("memory", pid)
    with _group("memory", f"memory-{pid}") as group:
        name = "memory.max" if _unified() else "memory.limit_in_bytes"
        (group / name).write_text(str(most))
        with _within(group, pid, home):
            yield


@contextmanager
def processor(pid: int, share: float) -> Iterator[None]:
    """The process gets that share of one core."""
    quota, home = int(share * _PERIOD), _home("cpu", pid)
    with _group("cpu", f"cpu-{pid}") as group:
        if _unified():
            (group / "cpu.max").write_text(f"{quota} {_PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        with _within(group, pid, home):
            yield


def sweep() -> None:
    """Removes the groups of processes that are gone, which could not do it themselves."""
    for controller in ("memory", "cpu"):
        for group in _parent(controller).glob(f"{_NAME}-*"):
            maker = group.name.removeprefix(f"{_NAME}-").partition("-")[0]
            if not Path(f"/proc/{maker}").exists():
                _remove(group)


def _remove(group: Path) -> None:
    """One whose processes don't end stays, with them."""
    until = time.monotonic() + _EMPTYING
    while group.exists():
        try:
            group.rmdir()
        except OSError:
            if time.monotonic() > until:
                return
            time.sleep(0.05)


def _parent(controller: str) -> Path:
    return _ROOT if _unified() else _ROOT / controller


@contextmanager
def _group(controller: str, name: str) -> Iterator[Path]:
    """A new group; raises OSError where none can be made."""
    parent = _parent(controller)
    if _unified() and controller not in (parent / "cgroup.subtree_control").read_text().split():
        raise PermissionError(f"the controller {controller} is not given to groups here")
    group = parent / f"{_NAME}-{os.getpid()}-{name}"
    group.mkdir()
    try:
        yield group
    finally:
        group.rmdir()


def _home(controller: str, pid: int) -> Path:
    """The group that the process is in; the topmost one if it isn't seen from here."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") or (_unified() and not controllers):
            home = _parent(controller) / path.lstrip("/")
            return home if home.is_dir() else _parent(controller)
    return _parent(controller)


@contextmanager
def _within(group: Path, pid: int, home: Path) -> Iterator[None]:
    """Moves the process into the group, and back home before the group goes."""
    (group / "cgroup.procs").write_text(str(pid))
    try:
        yield
    finally:
        for left in (group / "cgroup.procs").read_text().split():
            try:
                (home / "cgroup.procs").write_text(left)
            except ProcessLookupError:
                continue  # it has ended meanwhile


def _unified() -> bool:
    return (_ROOT / "cgroup.controllers").exists()
