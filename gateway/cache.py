"""The response cache as a worker has it: its memory, the store it may share, and what it tells."""

import logging
import secrets
import time
from enum import Enum
from typing import TYPE_CHECKING, Any

from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer

from gateway.config import Config
from gateway.own_key import given_key, own_key
from policies.cache.key import MIN_KEY, Keys
from policies.cache.memory import Memory
from policies.cache.seal import Seal
from policies.cache.shared import Shared
from policies.cache.stores import Stores
from protos.timeline import Timeline

if TYPE_CHECKING:
    from gateway.state.redis import Redis

log = logging.getLogger(__name__)

KEY_FILE = "cache.key"
KEY_BYTES = 32
# Seconds for a write, which nobody waits for: a large answer takes longer than a request would.
WRITE_PATIENCE = 0.5


class Lost(Exception):
    """The store gave no reply in time, or none at all."""


class RedisCache(BaseCache):  # type: ignore[misc]
    """A cache of aiocache's kind in the state that gateways share.

    aiocache's own has a pool without patience and without a breaker, and gives a connection whose
    call was cancelled to the next one. `client` is one that nothing else uses: when large answers
    make it lose the server, limits don't.
    """

    NAME = "redis"

    def __init__(self, client: "Redis") -> None:
        super().__init__(serializer=NullSerializer(encoding=None), timeout=None)
        self._client = client

    async def _get(self, key: str, encoding: Any = None, _conn: Any = None) -> bytes | None:
        found: bytes | None = await self._execute("GET", key)
        return found

    async def _set(
        self,
        key: str,
        value: bytes,
        ttl: float | None = None,
        _cas_token: Any = None,
        _conn: Any = None,
    ) -> bool:
        expiry = () if ttl is None else ("PX", max(1, round(ttl * 1000)))
        await self._execute("SET", key, value, *expiry, patience=WRITE_PATIENCE)
        return True

    async def _delete(self, key: str, _conn: Any = None) -> int:
        deleted: int = await self._execute("DEL", key, patience=WRITE_PATIENCE)
        return deleted

    async def _exists(self, key: str, _conn: Any = None) -> bool:
        return bool(await self._execute("EXISTS", key))

    async def _execute(self, *command: str | bytes | int, patience: float = 0.0) -> Any:
        reply = await self._client.execute(*command, patience=patience)
        if isinstance(reply, Enum):  # redis.LOST, whose module takes the extra `redis`
            raise Lost
        return reply


def stores(config: Config, client: "Redis | None") -> Stores:
    """This worker's part of the memory, and the shared store if there is one.

    Raises INVALID for a key file that can't be used.
    """
    settings = config.cache
    secret = _secret(config)
    shared = None
    if client is not None:
        shared = Shared(RedisCache(client), Seal(secret), time.time)
    memory = Memory(settings.memory // config.workers, time.monotonic)
    return Stores(Keys(secret), memory, shared, settings.max_entry)


def cache_headers(timeline: Timeline) -> list[tuple[str, str]]:
    """What a client is told of its answer's origin, as headers or trailers (RFC 9111, 5.1)."""
    if not timeline.cache:
        return []
    if timeline.cache == "hit":
        return [("x-cache", "hit"), ("age", str(int(timeline.cache_age)))]
    return [("x-cache", timeline.cache)]


def _secret(config: Config) -> bytes:
    path = config.cache.key_file
    if path is None:
        try:
            return own_key(config.state_folder / KEY_FILE, KEY_BYTES)
        except OSError as failure:
            log.warning("kept answers are this process's alone: %s", failure)
            return secrets.token_bytes(KEY_BYTES)
    return given_key("cache.keyFile", path, MIN_KEY)
