"""Time for a call to a server, without taking our own slowness for the server's."""

import asyncio
from types import TracebackType
from typing import Self

# Seconds. After a stall of our own loop the reply may be here, unread; it gets this much of the
# patience. If it takes the loop twice as long to come back to it, it hardly had a chance to read.
SECOND_LOOK = 0.005


class Patience:
    """`async with Patience(seconds) as patience`: raises TimeoutError when they are over.

    Then `stalled` says whether our own event loop was busy when it should have looked for the
    reply: how long the server took isn't known.
    """

    __slots__ = ("_limit", "_looked_at", "_loop", "_seconds", "_timer", "stalled")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.stalled = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)
        await self._limit.__aenter__()
        first = self._loop.time() + self._seconds - SECOND_LOOK
        self._timer = self._loop.call_at(first, self._look)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _look(self) -> None:
        self._looked_at = self._loop.time()
        self._timer = self._loop.call_at(self._looked_at + SECOND_LOOK, self._end)

    def _end(self) -> None:
        now = self._loop.time()
        self.stalled = now - self._looked_at > 2 * SECOND_LOOK
        self._limit.reschedule(now)
