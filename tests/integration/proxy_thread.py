"""A fault proxy for tests that have no event loop."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from chaos.faults.proxy import FaultProxy


@contextmanager
def on_a_thread(proxy: FaultProxy) -> Iterator[FaultProxy]:
    """The proxy on a loop of its own; its toxics may be set from here."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result(5.0)
        yield proxy
        asyncio.run_coroutine_threadsafe(proxy.__aexit__(None, None, None), loop).result(5.0)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5.0)
        loop.close()
