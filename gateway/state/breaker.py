"""Keeps requests from waiting for a server that is lost: from its first loss on nobody asks."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

INTERVAL = 0.5  # seconds between looks at whether a lost server is back
# Seconds of unanswered calls after which our own stalls are no excuse any more.
MOST_STALLED = 0.5


class Breaker:
    """Opens when `lose` is called, and closes when `look` returns without raising.

    `what` is what is said to be lost. Belongs to the event loop that it is used on.
    """

    def __init__(
        self, what: str, look: Callable[[], Awaitable[object]], interval: float = INTERVAL
    ) -> None:
        self._what = what
        self._look = look
        self._interval = interval
        self._looking: asyncio.Task[None] | None = None
        self._stalled_at: float | None = None
        self.up = True  # until the contrary is known
        self.losses = 0  # times that the server was lost

    def __repr__(self) -> str:
        return f"<Breaker of {self._what}, {'up' if self.up else 'lost'}>"

    def answered(self) -> None:
        self._stalled_at = None

    def late(self, seconds: float, now: float, *, stalled: bool) -> None:
        """There was no answer in so many seconds; `stalled` as `Patience` has it, `now` too.

        Our own stall says nothing of the server, unless it is all that ever happens.
        """
        if stalled and self._stalled_at is None:
            self._stalled_at = now
        if not stalled or now - (self._stalled_at or now) > MOST_STALLED:
            self.lose(f"no answer in {seconds * 1000:g} ms")

    def lose(self, why: str) -> None:
        if not self.up:
            return  # of several calls under way the first one told
        self.up = False
        self.losses += 1
        log.warning("%s is lost: %s", self._what, why)
        self._looking = asyncio.create_task(self._look_for_it(), name=f"looks for {self._what}")

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look_for_it(self) -> None:
        while not self.up:
            await asyncio.sleep(self._interval)
            with contextlib.suppress(Exception):
                await self._look()
                self.up = True
        self._stalled_at = None
        log.info("%s is back", self._what)
