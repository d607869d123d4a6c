"""One request's place in a flight, with a deadline of its own."""

import asyncio
from collections.abc import AsyncIterator

from policies.cache.flight import Flight
from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.timeline import Timeline
from protos.values import Context, Part


class Reader(AsyncIterator[Part]):
    """Reads from the first part on; see `policies.cache.flight.Reading`."""

    __slots__ = ("_context", "_error", "_flight", "_timer", "_waiting", "at")

    def __init__(self, flight: Flight, context: Context) -> None:
        self._flight = flight
        self._context = context
        self.at = 0
        self._waiting: asyncio.Future[None] | None = None
        self._error: PenstockError | None = None
        self._timer: asyncio.TimerHandle | None = None
        flight.join(self)
        # What the flight has no more time for than the request, the flight itself ends in time.
        began = flight.context
        soonest = min(context.deadline, context.first_deadline)
        if soonest < min(began.deadline, began.first_deadline):
            late = "the first part of the reply" if soonest < context.deadline else "the reply"
            self._expire_at(soonest, late)

    @property
    def waits(self) -> bool:
        return self._waiting is not None

    async def reply(self) -> Reply:
        """The reply to the request, when its first part is there."""
        try:
            first = await self.__anext__()
        except BaseException:
            self.close()
            raise
        if first.final:
            self.close()
            return Reply(first)
        # From now on only the whole deadline counts.
        self._stop_timer()
        if self._context.deadline < self._flight.context.deadline:
            self._expire_at(self._context.deadline, "the reply")
        self._flight.tell(self)
        return Reply(first, self, self.close)

    async def __anext__(self) -> Part:
        flight = self._flight
        while True:
            if self._error is not None:
                raise self._error
            index = self.at - flight.dropped
            if index < len(flight.parts):
                self.at += 1
                part = flight.parts[index]
                flight.moved()
                return part
            if flight.ended:
                if flight.error is not None:
                    raise _own(flight.error)
                raise StopAsyncIteration
            self._waiting = asyncio.get_running_loop().create_future()
            flight.moved()
            try:
                await self._waiting
            finally:
                self._waiting = None

    def wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def fail(self, error: PenstockError) -> None:
        self._error = error
        self.wake()
        self.close()

    def close(self) -> None:
        self._stop_timer()
        self._flight.leave(self)

    def adopt(self, execution: Timeline) -> None:
        timeline = self._context.timeline
        timeline.cache = "miss"
        timeline.adopt(execution)

    def disown(self, execution: Timeline) -> None:
        timeline = self._context.timeline
        timeline.cache = "coalesced"
        timeline.disown(execution)

    def _expire_at(self, when: float, late: str) -> None:
        error = PenstockError(Kind.DEADLINE, f"the deadline passed before {late} came")
        self._timer = asyncio.get_running_loop().call_at(when, self.fail, error)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _own(error: Exception) -> Exception:
    return error.copy() if isinstance(error, PenstockError) else error
