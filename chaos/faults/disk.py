"""A disk that takes nothing any more."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Running(Protocol):
    """A process of ours; `status` is None until it has ended."""

    @property
    def pid(self) -> int: ...

    @property
    def status(self) -> int | None: ...


@contextmanager
def full(process: Running) -> Iterator[None]:
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
