"""Carries a lessee's asks to the ledger and the answers back, off the request path."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from policies.leases.lessee import Batch, Lessee
from policies.leases.terms import LEASE_SECONDS, Answer, Ask
from policies.limits.elsewhere import Elsewhere

log = logging.getLogger(__name__)

# Seconds between exchanges when there is nothing to say: holders are counted by them, and that the
# ledger is lost is noticed here rather than by a request.
HEARTBEAT = 0.5


class SharedLedger(Protocol):
    """A ledger somewhere else."""

    async def exchange(self, holder: str, asks: Sequence[Ask]) -> Answer | None:
        """The answer to a batch, which may be empty; None when it can't be reached."""

    async def close(self) -> None: ...


class Leasing:
    """One lessee and the task that speaks for it.

    `holders` are expected to share the limits; `elsewhere` knows what was used of budgets before.
    """

    def __init__(
        self,
        ledger: SharedLedger,
        holder: str,
        holders: int,
        elsewhere: Elsewhere,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._wall = wall
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._spoke_at = clock() - HEARTBEAT
        self.lessee = Lessee(holder, holders, self._woken.set, elsewhere)
        self.exchanges = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="leases")

    async def close(self) -> None:
        """Tells what was used since, and gives back what is left."""
        if self._task is not None:
            self._closing = True
            self._woken.set()
            await self._task  # which ends when what is under way was answered, or wasn't
            self.lessee.retire()
            await self._speak(all_=True)
        await self._ledger.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        next_round = loop.time()
        while not self._closing:
            all_ = loop.time() >= next_round
            if all_:
                next_round = loop.time() + LEASE_SECONDS
            await self._speak(all_=all_)
            if not self._woken.is_set():
                alarm = loop.call_at(next_round, self._woken.set)
                await self._woken.wait()
                alarm.cancel()
            self._woken.clear()

    async def _speak(self, *, all_: bool) -> None:
        """Says what there is to say. Whatever happens, there will be a next time."""
        lessee = self.lessee
        try:
            batches = lessee.due(self._clock(), self._wall(), all_=all_)
            if not batches and all_ and self._clock() - self._spoke_at >= HEARTBEAT:
                batches = [Batch([], [], [])]
            while batches:
                await self._exchange(batches)
        except Exception:
            log.exception("limits aren't leased as they should be")

    async def _exchange(self, batches: list[Batch]) -> None:
        """Takes the first one, which is answered in any case: requests wait for it."""
        lessee, batch, answer = self.lessee, batches.pop(0), None
        self._spoke_at = self._clock()
        self.exchanges += 1
        try:
            answer = await self._ledger.exchange(lessee.holder, batch.asks)
        except Exception:
            log.exception("limits can't be leased")
        except BaseException:  # cancelled: then nobody is asked any more
            for each in (batch, *batches):
                lessee.unanswered(each, self._clock(), self._wall())
            raise
        if answer is None or len(answer.grants) != len(batch.asks):
            lessee.unanswered(batch, self._clock(), self._wall())
        else:
            lessee.answered(batch, answer, self._clock())
