"""An event loop that has much else to do."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

STALL = 0.02  # seconds of each turn


@contextmanager
def busy_loop() -> Iterator[None]:
    """Within it the running loop takes long for every turn."""
    loop = asyncio.get_running_loop()

    def work() -> None:
        nonlocal turn
        time.sleep(STALL)
        turn = loop.call_soon(work)

    turn = loop.call_soon(work)
    try:
        yield
    finally:
        turn.cancel()
