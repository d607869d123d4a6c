"""A disk that takes nothing any more."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from chaos.mesh import Process


@contextmanager
def full(process: Process) -> Iterator[None]:
    """No file of the process can grow: its log, its records, whatever it writes (EFBIG).

    For one process a limit of its own (RLIMIT_FSIZE) says what a full disk would say to all.
    """
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        if process.status is None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
