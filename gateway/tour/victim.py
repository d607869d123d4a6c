"""Which process the tour may kill: a backend that `penstock up` started from the configuration.

A process id is what a backend told of itself, perhaps of another machine, and perhaps it is
another's by now.
"""

import os
import signal
import time
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from gateway.client import Instance, reachable
from gateway.config import Config

_CLOCK = 1000.0  # milliseconds by which the wall clock may have been put right meanwhile
Argument = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Process:
    """What the kernel tells; `owner` is a user's id, `started` in milliseconds since 1970."""

    owner: int
    started: float
    arguments: tuple[str, ...]


class Victim:
    """A process that is meant even when its id becomes another's (a pidfd), until it is closed."""

    def __init__(self, process: int) -> None:
        self.process = process
        self._handle = os.pidfd_open(process)

    def close(self) -> None:
        os.close(self._handle)

    def kill(self) -> None:
        with suppress(ProcessLookupError):  # it has ended by itself
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)


def victim_of(instance: Instance, config: Config, join_token_file: Path) -> Victim | None:
    """The instance's process, to be closed; None where it isn't known to be the demo's."""
    try:
        victim = Victim(instance.raw["process"])
    except (OSError, AttributeError):  # nobody's, or a system that has no such handles
        return None
    # Read while the handle is open: what is read is of that very process, or it has ended.
    found = read(victim.process)
    ours = arguments_of(instance.name, config, join_token_file)
    if found is not None and is_backend(found, ours, os.getuid(), instance.raw["epoch"]):
        return victim
    victim.close()
    return None


def is_backend(process: Process, ours: Set[Argument], owner: int, epoch: int) -> bool:
    """Whether it has our arguments and owner, and was there when the backend began.

    `epoch` is when that was, in milliseconds since 1970.
    """
    return (
        process.owner == owner
        and ours <= set(pairwise(process.arguments))
        and process.started <= epoch + _CLOCK
    )


def arguments_of(name: str, config: Config, join_token_file: Path) -> Set[Argument]:
    """What `penstock up` starts a backend of that name with, but for its runtime and resources."""
    return {
        ("-m", "backends"),
        ("--name", name),
        ("--join", str(reachable(config.listener("discovery").address))),
        ("--join-token-file", str(join_token_file)),
    }


def read(process: int) -> Process | None:
    """None where it has ended or can't be looked at."""
    folder = Path("/proc", str(process))
    try:
        arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        # proc_pid_stat(5): the 22nd field, the 20th after the name in parentheses, is when it
        # started, in ticks since the machine did.
        ticks = int((folder / "stat").read_text().rpartition(")")[2].split()[19])
        owner = folder.stat().st_uid
    except (OSError, IndexError, ValueError):
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return Process(owner, 1e3 * (time.time() - age), tuple(arguments))
