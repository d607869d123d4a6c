"""The ledger that replicas share, in Redis: one script call answers a batch."""

import time
from collections.abc import Sequence

from gateway.state.redis import LOST, Redis, Script
from policies.leases.periods import month_starts
from policies.leases.script import answer, arguments, script
from policies.leases.terms import Answer, Ask

PREFIX = "{penstock-limits}:"  # the tag keeps them in one slot behind a cluster's proxy


class RedisLedger:
    """Every worker asks for itself; `redis` belongs to who made it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = Script(script())

    async def exchange(self, holder: str, asks: Sequence[Ask]) -> Answer | None:
        """The ledger's answer; None when Redis is lost, or says what the script can't have said."""
        months = month_starts(time.time())
        reply = await self._redis.evaluate(self._script, *arguments(PREFIX, holder, months, asks))
        if reply is LOST:
            return None
        try:
            return answer(reply, len(asks))
        except ValueError:
            self._redis.disbelieve()
            return None

    async def close(self) -> None:
        return None
