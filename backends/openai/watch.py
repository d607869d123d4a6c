"""Watches the model server: what it serves, whether it is well, how busy it is."""

import asyncio
import logging
import time
from collections.abc import Callable

import httpx

from backends.openai.roster import Roster
from backends.openai.signals import Signals, read
from backends.openai.upstream import Upstream
from protos.errors import PenstockError

log = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two looks
# A server that is busy may answer late, and is not given up for that at once.
PATIENCE = 5.0


class Watch:
    """Keeps `roster` up to date; `unhealthy_reason` is None while the server may get calls."""

    def __init__(
        self, upstream: Upstream, roster: Roster, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._upstream = upstream
        self._roster = roster
        self._clock = clock
        self._well_at = clock()
        self._asks_health = self._asks_metrics = True
        self.on_change: Callable[[], None] = lambda: None
        self.unhealthy_reason: str | None = "the model's server has not answered yet"
        self.signals = Signals()

    async def run(self) -> None:
        """Looks every second until it is cancelled."""
        while True:
            changed = await self.look()
            if changed:
                self.on_change()
            await asyncio.sleep(INTERVAL)

    async def look(self) -> bool:
        """One look; whether gateways should hear of it at once."""
        before = self.unhealthy_reason is None
        changed = False
        try:
            changed = self._roster.update(await self._listed())
            self.unhealthy_reason = await self._illness()
            self._well_at = self._clock()
        except httpx.ConnectError:
            self._unwell("the model's server can't be reached")
        except (httpx.HTTPError, ValueError, PenstockError) as error:
            if self._clock() - self._well_at > PATIENCE:
                self._unwell(f"the model's server doesn't answer ({type(error).__name__})")
        self.signals = await self._signals()
        return changed or before != (self.unhealthy_reason is None)

    async def _listed(self) -> set[str]:
        """What the server lists; some have no list to give, nor need one then."""
        if self._roster.unlisted and self._asks_health:
            return set()
        return {each["id"] for each in await self._upstream.models()}

    async def _illness(self) -> str | None:
        if not self._asks_health:
            return None
        healthy = await self._upstream.healthy()
        self._asks_health = healthy is not None
        return "the model's server says that it is not healthy" if healthy is False else None

    async def _signals(self) -> Signals:
        """A page that can't be had leaves nothing that was once true."""
        if not self._asks_metrics or self.unhealthy_reason is not None:
            return Signals()
        try:
            page = await self._upstream.metrics()
        except (httpx.HTTPError, PenstockError):
            return Signals()
        self._asks_metrics = page is not None
        return Signals() if page is None else read(page)

    def _unwell(self, reason: str) -> None:
        if self.unhealthy_reason is None:
            log.warning("%s", reason)
        self.unhealthy_reason = reason
        # Another one may stand in its place when it is back.
        self._asks_health = self._asks_metrics = True
