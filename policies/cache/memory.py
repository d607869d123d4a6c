"""Answers kept in this process, in a bounded number of bytes."""

from collections.abc import Callable
from math import inf
from typing import Any

from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer

from policies.cache.s3fifo import S3Fifo


class Memory(BaseCache):  # type: ignore[misc]
    """A cache of aiocache's kind that has a bound, and holds only bytes, which nobody can change.

    aiocache's own has no bound and gives everybody the same object. The pipeline uses `find` and
    `keep`: aiocache's methods cost a dozen calls each, and there is nothing to wait for.
    `budget` is in bytes, `clock` in seconds.
    """

    NAME = "memory"

    def __init__(self, budget: int, clock: Callable[[], float]) -> None:
        super().__init__(serializer=NullSerializer(encoding=None), timeout=None)
        self.entries = S3Fifo(budget)
        self._clock = clock

    def find(self, key: bytes) -> bytes | None:
        return self.entries.find(key, self._clock())

    def keep(self, key: bytes, entry: bytes, ttl: float) -> bool:
        """Whether it fits; `ttl` in seconds."""
        return self.entries.keep(key, entry, self._clock() + ttl)

    def forget(self, key: bytes) -> bool:
        return self.entries.forget(key)

    async def _get(self, key: bytes, encoding: Any = None, _conn: Any = None) -> bytes | None:
        return self.find(key)

    async def _set(
        self,
        key: bytes,
        value: object,
        ttl: float | None = None,
        _cas_token: Any = None,
        _conn: Any = None,
    ) -> bool:
        if not isinstance(value, bytes):
            raise TypeError(f"only bytes are kept, not {type(value).__name__}")
        return self.keep(key, value, inf if ttl is None else ttl)

    async def _exists(self, key: bytes, _conn: Any = None) -> bool:
        return self.find(key) is not None

    async def _delete(self, key: bytes, _conn: Any = None) -> int:
        return int(self.forget(key))

    async def _clear(self, namespace: Any = None, _conn: Any = None) -> bool:
        self.entries.clear()
        return True

    def __repr__(self) -> str:
        return f"<Memory {self.entries}>"
