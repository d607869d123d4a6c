"""Answers in a store that gateways share. It can fail, and what comes from it is not believed.

Nothing here raises: a store that is down, slow or confused makes misses, which are counted.
"""

import asyncio
import logging
from collections.abc import Callable

from aiocache.base import BaseCache

from policies.cache.entry import times
from policies.cache.seal import Seal

log = logging.getLogger(__name__)

MOST_WRITES = 256  # under way at a time; more are dropped


class Shared:
    """Sealed entries in any cache of aiocache's kind that takes bytes; `wall` gives Unix time.

    `failures` counts calls that the store didn't answer, `refused` entries whose seal was wrong,
    `dropped` entries that were not written since too many others were being written.
    """

    def __init__(self, store: BaseCache, seal: Seal, wall: Callable[[], float]) -> None:
        self._store = store
        self._seal = seal
        self._wall = wall
        self._tasks: set[asyncio.Task[None]] = set()
        self.failures = 0
        self.refused = 0
        self.dropped = 0

    async def find(self, key: bytes) -> bytes | None:
        """The entry of that name, if it is one, is ours, and is not too old."""
        try:
            sealed = await self._store.get(_name(key))
        except Exception as failure:
            self._failed("read", failure)
            return None
        if sealed is None:
            return None
        entry = self._seal.open(key, sealed) if isinstance(sealed, bytes) else None
        if entry is None:
            self.refused += 1
            return None
        stored, ttl = times(entry)
        return entry if self._wall() < stored + ttl else None

    def keep(self, key: bytes, entry: bytes, ttl: float) -> None:
        """Writes the entry, later."""
        sealed = self._seal.close(key, entry)
        self._later(lambda: self._store.set(_name(key), sealed, ttl=ttl), "write")

    def forget(self, key: bytes) -> None:
        self._later(lambda: self._store.delete(_name(key)), "delete")

    async def close(self) -> None:
        """Waits for what is under way, whose time the store bounds."""
        await asyncio.gather(*self._tasks)

    def _later(self, call: "Callable[[], asyncio.Future[object]]", what: str) -> None:
        if len(self._tasks) >= MOST_WRITES:
            self.dropped += 1
            return
        task = asyncio.get_running_loop().create_task(self._do(call, what), name="kept answer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, call: "Callable[[], asyncio.Future[object]]", what: str) -> None:
        try:
            await call()
        except Exception as failure:
            self._failed(what, failure)

    def _failed(self, what: str, failure: Exception) -> None:
        self.failures += 1
        log.debug("the shared cache failed to %s: %s", what, type(failure).__name__)

    def __repr__(self) -> str:
        return f"<Shared {self.failures} failures, {self.refused} refused>"


def _name(key: bytes) -> str:
    return f"penstock:cache:{key.hex()}"
