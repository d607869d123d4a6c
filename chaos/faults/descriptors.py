"""A process that may open no more files and connections."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.processes import Process


@contextmanager
def exhausted(process: Process, *, left: int) -> Iterator[None]:
    """It may open so many more than it has open now (RLIMIT_NOFILE), until the block's end."""
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    # The limit is one of numbers, and the lowest free number is given first.
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (opened(process) + left, before[1]))
    try:
        yield
    finally:
        if process.status is None:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)


def opened(process: Process) -> int:
    """How many descriptors it has."""
    return sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())
