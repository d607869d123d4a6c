"""Answers in a store that gateways share. It can fail, and what comes from it is not believed.

Nothing here raises: a store that is down, slow or confused makes misses, which are counted.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from aiocache.base import BaseCache

from policies.cache.entry import times
from policies.cache.seal import Seal

log = logging.getLogger(__name__)

WRITERS = 4  # writes under way at a time, so that a burst of answers doesn't hold up reading
MOST_WAITING = 8 << 20  # bytes of entries that wait to be written; more are dropped
NAME_BYTES = 256  # about what a call takes that waits, beside its entry

Write = tuple[Callable[[], Awaitable[object]], str, int]  # what it does, and its bytes


class Shared:
    """Sealed entries in any cache of aiocache's kind that takes bytes; `wall` gives Unix time.

    `failures` counts calls that the store didn't answer, `refused` entries whose seal was wrong,
    `dropped` entries that were not written since too many others waited to be.
    """

    def __init__(self, store: BaseCache, seal: Seal, wall: Callable[[], float]) -> None:
        self._store = store
        self._seal = seal
        self._wall = wall
        self._writes: deque[Write] = deque()
        self._waiting = 0  # bytes
        self._writers: set[asyncio.Task[None]] = set()
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
        self._later(lambda: self._store.set(_name(key), sealed, ttl=ttl), "write", len(sealed))

    def forget(self, key: bytes) -> None:
        self._later(lambda: self._store.delete(_name(key)), "delete", 0)

    async def close(self) -> None:
        """Waits for what is to be written, whose time the store bounds."""
        await asyncio.gather(*self._writers)

    def _later(self, call: Callable[[], Awaitable[object]], what: str, size: int) -> None:
        size += NAME_BYTES
        if self._waiting + size > MOST_WAITING:
            self.dropped += 1
            return
        self._writes.append((call, what, size))
        self._waiting += size
        if len(self._writers) < WRITERS:
            loop = asyncio.get_running_loop()
            self._writers.add(loop.create_task(self._write(), name="kept answers"))

    async def _write(self) -> None:
        while self._writes:
            call, what, size = self._writes.popleft()
            try:
                await call()
            except Exception as failure:
                self._failed(what, failure)
            finally:
                self._waiting -= size
        # Here and not when the task is done: what comes in between would wait for another.
        self._writers -= {asyncio.current_task()}

    def _failed(self, what: str, failure: Exception) -> None:
        self.failures += 1
        log.debug("the shared cache failed to %s: %s", what, type(failure).__name__)

    def __repr__(self) -> str:
        return f"<Shared {self.failures} failures, {self.refused} refused>"


def _name(key: bytes) -> str:
    return f"penstock:cache:{key.hex()}"
