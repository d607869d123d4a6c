"""One execution that any number of equal requests wait for ("single flight").

It runs detached, in a task of its own, so that it belongs to none of them: it ends when it is
complete, or when the last of its readers has left. All parts are held until the end, so that who
comes later reads from the first one; a reply that grows over the bound takes no more readers, and
goes on at the pace of the slowest of those it has.

One of its readers answers for it: what the execution uses is in that one's timeline alone, so that
it counts once against limits. If that reader leaves before the end, the next one takes its place,
or whoever asks twice and leaves once would be executed for nothing.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Protocol

from policies.cache.pace import Pace
from policies.cache.recording import size_of
from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.timeline import Timeline
from protos.values import Context, Part


class Reading(Protocol):
    """What a flight needs of those who read it."""

    at: int  # how many parts were read

    @property
    def waits(self) -> bool:
        """Whether it has read all there is, and is asked for more."""
        ...

    def wake(self) -> None: ...

    def fail(self, error: PenstockError) -> None:
        """Ends this reader alone."""
        ...

    def adopt(self, execution: Timeline) -> None:
        """Answers for the execution, as if it were this request's alone."""
        ...

    def disown(self, execution: Timeline) -> None:
        """Has only waited for what another request answers for now."""
        ...


class Flight:
    """`fetch` gives the reply and its age in seconds, which is None where it was executed.

    `context` is that of the execution, whose deadline and priority are the flight's. `most` is how
    many bytes of parts are held; who is behind by so much is waited for as `Pace` says, with
    `idle`. `closed` is called once, when nobody may join any more.
    """

    __slots__ = (
        "_bytes",
        "_closed",
        "_idle",
        "_most",
        "_moved",
        "_pace",
        "_payer",
        "age",
        "complete",
        "context",
        "dropped",
        "ended",
        "error",
        "parts",
        "readers",
        "task",
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
        self._most = most
        self._idle = idle
        self._closed: Callable[[Flight], None] | None = closed
        self.context = context
        self.age: float | None = None
        self.error: Exception | None = None
        self.complete = False  # the last part is there
        self.ended = False
        self.readers: dict[Reading, None] = {}  # in the order in which they came
        self._payer: Reading | None = None  # who answers for it
        self.parts: deque[Part] = deque()
        self.dropped = 0  # parts that all readers have read
        self._bytes = 0
        self._pace: Pace | None = None  # since it counts
        self._moved: asyncio.Event | None = None  # set when a reader moves, since then
        self.task = asyncio.get_running_loop().create_task(self._run(fetch), name="coalesced")

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

    def join(self, reader: Reading) -> None:
        if not self.readers:
            self._payer = reader
        self.readers[reader] = None

    def leave(self, reader: Reading) -> None:
        """Without a reader the work is cancelled down to the backend's queue."""
        if reader not in self.readers:
            return
        del self.readers[reader]
        if reader is self._payer:
            self._hand_over(reader)
        if not self.readers and not self.ended:
            self._close()
            self.task.cancel()
        self.moved()

    def _hand_over(self, reader: Reading) -> None:
        finished = self.complete or self.ended
        heir = None if finished or self.age is not None else next(iter(self.readers), None)
        if heir is None:
            self.tell(reader)
        else:
            reader.disown(self.context.timeline)
            heir.adopt(self.context.timeline)
        self._payer = heir

    def tell(self, reader: Reading) -> None:
        """Tells the one who answers for the execution what has come of it."""
        if reader is self._payer and self.age is None:
            reader.adopt(self.context.timeline)

    def moved(self) -> None:
        """A reader has taken a part, waits for one, or is gone."""
        if self._moved is not None:
            self._moved.set()

    def interrupt(self) -> None:
        """The gateway stops. A task that hasn't begun never will, so its readers are told here."""
        if not self.ended:
            self.error = _interrupted()
            self._end()
            self.task.cancel()

    async def _run(self, fetch: Callable[[], Awaitable[tuple[Reply, float | None]]]) -> None:
        try:
            reply, self.age = await fetch()
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
            self.error = self.error or _interrupted()
            raise
        except Exception as failure:
            self.error = self.error or failure
        finally:
            self._end()

    def _add(self, part: Part) -> None:
        self.parts.append(part)
        self._bytes += size_of(part)
        self.complete = part.final
        self._wake()

    def _end(self) -> None:
        self.ended = True
        self._close()
        self._wake()

    def _wake(self) -> None:
        for reader in self.readers:
            reader.wake()

    async def _keep_pace(self) -> None:
        """Until what is held fits again.

        Raises DEADLINE in time: the execution, which would, isn't asked for parts meanwhile.
        """
        self._close()
        self._moved = self._moved or asyncio.Event()
        pace = self._pace = self._pace or Pace(self._idle)
        clock = asyncio.get_running_loop().time
        while self.readers:  # or the task is about to be cancelled
            place = min(reader.at for reader in self.readers)
            while self.dropped < place:
                self._bytes -= size_of(self.parts.popleft())
                self.dropped += 1
            if self._bytes <= self._most:
                return
            now = clock()
            if now >= self.context.deadline:
                raise PenstockError(Kind.DEADLINE, "the deadline passed before the reply was read")
            held_up = any(reader.waits for reader in self.readers)
            end = pace.until(place, now, held_up=held_up)
            self._moved.clear()
            try:
                async with asyncio.timeout_at(min(end, self.context.deadline)):
                    await self._moved.wait()
            except TimeoutError:
                if end <= self.context.deadline:
                    self._leave_behind(place)
            if held_up:
                pace.waited(clock() - now)

    def _leave_behind(self, place: int) -> None:
        for reader in [each for each in self.readers if each.at == place]:
            reader.fail(PenstockError(Kind.SLOW_CLIENT, "the reply was not read in time"))

    def _close(self) -> None:
        closed, self._closed = self._closed, None
        if closed is not None:
            closed(self)

    def __repr__(self) -> str:
        state = "ended" if self.ended else "under way"
        return f"<Flight {state}, {len(self.readers)} readers, {len(self.parts)} parts>"


def _interrupted() -> PenstockError:
    return PenstockError(Kind.INTERRUPTED, "the gateway is stopping")


def _time_for(wanted: float, given: float, now: float) -> bool:
    return wanted <= given or (wanted < inf and wanted - now <= 2.0 * (given - now))
