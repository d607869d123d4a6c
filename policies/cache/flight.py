"""One execution that any number of equal requests wait for ("single flight").

It runs detached, in a task of its own, so that it belongs to none of them: it ends when it is
complete, or when the last of its readers has left. A reader keeps its own deadline. All parts are
held until the end, so that who comes later reads from the first one; a reply that grows over the
bound takes no more readers, and goes on at the pace of the slowest of those it has.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from math import inf

from policies.cache.recording import size_of
from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import Context, Part


class Flight:
    """`fetch` gives the reply and its age in seconds, which is None where it was executed.

    `context` is that of the request that began it: its deadline and priority are the flight's.
    `most` is how many bytes of parts are held; a reader that is behind by so much and doesn't read
    for `idle` seconds is left behind. `closed` is called once, when nobody may join any more.
    """

    __slots__ = (
        "_bytes",
        "_closed",
        "_fetch",
        "_idle",
        "_most",
        "_moved",
        "_task",
        "age",
        "context",
        "dropped",
        "ended",
        "error",
        "parts",
        "readers",
    )

    def __init__(
        self,
        fetch: Callable[[], Awaitable[tuple[Reply, float | None]]],
        context: Context,
        *,
        most: int,
        idle: float,
        closed: Callable[["Flight"], None],
    ) -> None:
        self._fetch = fetch
        self._most = most
        self._idle = idle
        self._closed: Callable[[Flight], None] | None = closed
        self.context = context
        self.age: float | None = None
        self.error: BaseException | None = None
        self.ended = False
        self.readers: set[Reader] = set()
        self.parts: deque[Part] = deque()
        self.dropped = 0  # parts that all readers have read
        self._bytes = 0
        self._moved: asyncio.Event | None = None  # set when a reader reads; while the pace counts
        self._task = asyncio.get_running_loop().create_task(self._run(), name="coalesced")

    def suits(self, context: Context, now: float) -> bool:
        """Whether a request may wait for this one.

        Not where it would wait behind a lower priority, nor where it has more than twice the time:
        what fails since the other's time is over might have been answered in its own.
        """
        mine = self.context
        if context.priority != mine.priority and (
            not context.priority or not mine.priority or context.priority < mine.priority
        ):
            return False
        return _time_for(context.deadline, mine.deadline, now) and (
            bool(self.parts) or _time_for(context.first_deadline, mine.first_deadline, now)
        )

    def leave(self, reader: "Reader") -> None:
        """Nobody is left to read it: the work is cancelled down to the backend's queue."""
        self.readers.discard(reader)
        if not self.readers and not self.ended:
            self._close()
            self._task.cancel()
        elif self._moved is not None:
            self._moved.set()

    def read(self) -> None:
        """A reader has taken a part."""
        if self._moved is not None:
            self._moved.set()

    def interrupt(self) -> None:
        """The gateway stops."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            reply, self.age = await self._fetch()
            try:
                self._add(reply.first)
                if reply.rest is not None:
                    async for part in reply.rest:
                        self._add(part)
                        if self._bytes > self._most:
                            await self._keep_pace()
            finally:
                reply.on_close()
        except asyncio.CancelledError:
            self.error = PenstockError(Kind.INTERRUPTED, "the gateway is stopping")
            raise
        except Exception as failure:
            self.error = failure
        finally:
            self.ended = True
            self._close()
            self._wake()

    def _add(self, part: Part) -> None:
        self.parts.append(part)
        self._bytes += size_of(part)
        self._wake()

    def _wake(self) -> None:
        for reader in self.readers:
            reader.wake()

    async def _keep_pace(self) -> None:
        """Until what is held fits again: who reads slowly is waited for, who doesn't read isn't."""
        self._close()
        self._moved = self._moved or asyncio.Event()
        while self.readers:  # or the task is about to be cancelled
            slowest = min(reader.at for reader in self.readers)
            while self.dropped < slowest:
                self._bytes -= size_of(self.parts.popleft())
                self.dropped += 1
            if self._bytes <= self._most:
                return
            self._moved.clear()
            try:
                async with asyncio.timeout(self._idle):
                    await self._moved.wait()
            except TimeoutError:
                for reader in [each for each in self.readers if each.at == slowest]:
                    reader.fail(PenstockError(Kind.SLOW_CLIENT, "the reply was not read in time"))

    def _close(self) -> None:
        closed, self._closed = self._closed, None
        if closed is not None:
            closed(self)

    def __repr__(self) -> str:
        state = "ended" if self.ended else "under way"
        return f"<Flight {state}, {len(self.readers)} readers, {len(self.parts)} parts>"


class Reader(AsyncIterator[Part]):
    """One request's place in a flight."""

    __slots__ = ("_error", "_flight", "_timer", "_waiting", "at")

    def __init__(self, flight: Flight, context: Context) -> None:
        self._flight = flight
        self.at = 0  # parts that were read
        self._waiting: asyncio.Future[None] | None = None
        self._error: PenstockError | None = None
        self._timer: asyncio.TimerHandle | None = None
        flight.readers.add(self)
        began = flight.context
        if context is began:
            return  # whose deadlines the flight itself keeps
        soonest = min(context.deadline, context.first_deadline)
        if soonest < min(began.deadline, began.first_deadline):
            late = "the first part of the reply" if soonest < context.deadline else "the reply"
            self._expire_at(soonest, late)

    async def reply(self, context: Context) -> Reply:
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
        if context.deadline < self._flight.context.deadline:
            self._expire_at(context.deadline, "the reply")
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
                flight.read()
                return part
            if flight.ended:
                if flight.error is not None:
                    raise _copied(flight.error)
                raise StopAsyncIteration
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None

    def wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def fail(self, error: PenstockError) -> None:
        """Ends this reader alone."""
        self._error = error
        self.wake()
        self.close()

    def close(self) -> None:
        self._stop_timer()
        self._flight.leave(self)

    def _expire_at(self, when: float, late: str) -> None:
        error = PenstockError(Kind.DEADLINE, f"the deadline passed before {late} came")
        self._timer = asyncio.get_running_loop().call_at(when, self.fail, error)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _time_for(wanted: float, given: float, now: float) -> bool:
    return wanted <= given or (wanted < inf and wanted - now <= 2.0 * (given - now))


def _copied(error: BaseException) -> BaseException:
    """Each reader raises its own, or tracebacks of all would grow on one."""
    if isinstance(error, PenstockError):
        return PenstockError(error.kind, error.message, retry_after=error.retry_after)
    return error
