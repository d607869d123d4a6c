"""Faults of a process: killed, stopped as if it hung, told to finish."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from chaos.processes import Process


def kill(process: Process) -> None:
    """kill -9: no goodbye, its sockets are closed by the kernel."""
    process.may_end = True
    process.kill()


@contextmanager
def stopped(process: Process) -> Iterator[None]:
    """SIGSTOP: its sockets stay open, and the kernel takes bytes for it. It goes on afterwards."""
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        if process.status is None:
            process.signal(signal.SIGCONT)


async def finish(process: Process) -> int:
    """SIGTERM, as a deployment does; its exit status."""
    process.may_end = True
    return await asyncio.to_thread(process.stop)
