"""An answer remembered while it passes, so that it can be compared later; in bounded memory."""

import threading
from collections.abc import AsyncIterator, Callable, Sequence

from protos.errors import PenstockError
from protos.exchange_objects import bytes_of
from protos.service import Reply
from protos.timeline import Timeline
from protos.values import Part
from routing.shadow.record import Side

# Longer answers aren't compared.
MAX_BYTES = 8 << 20
MAX_PARTS = 4096

TOO_LARGE = "an answer is too large to be compared"
NO_ROOM = "too many answers are waiting to be compared"
NOT_KEPT = "not kept"


class Room:
    """The bytes of payloads that one worker's shadow traffic holds. Any thread may use it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        with self._lock:
            if self.held + size > self.limit:
                return False
            self.held += size
            return True

    def give(self, size: int) -> None:
        with self._lock:
            self.held -= size

    def __repr__(self) -> str:
        return f"<Room {self.held} of {self.limit} bytes>"


class Capture:
    """One answer: its parts, by reference, and its times. `on_end` is called once, when it is over.

    `missing` says why its parts weren't kept; it is empty while they are. Parts that can't be kept
    are still counted.
    """

    __slots__ = (
        "_began",
        "_on_end",
        "_room",
        "_timeline",
        "bytes",
        "count",
        "done",
        "error",
        "first_seconds",
        "held",
        "missing",
        "parts",
        "seconds",
    )

    def __init__(
        self, room: Room, timeline: Timeline, began: float, on_end: Callable[[], None]
    ) -> None:
        self.parts: list[Part] = []
        self.bytes = 0
        self.count = 0
        self.held = 0  # bytes of the room
        self.seconds = 0.0
        self.first_seconds = 0.0
        self.error = ""
        self.missing = ""
        self.done = False
        self._room = room
        self._timeline = timeline
        self._began = began
        self._on_end = on_end

    def take(self, part: Part, now: float) -> None:
        """The next part has come."""
        if not self.count:
            self.first_seconds = now - self._began
        size = bytes_of(part.payload)
        self.count += 1
        self.bytes += size
        if not self.missing:
            self._keep(part, size)
        if part.final:
            self.end(now)

    def end(self, now: float, error: str = "") -> None:
        """No more parts will come; `error` is the kind of failure in small letters."""
        if self.done:
            return
        self.done = True
        self.seconds = now - self._began
        self.error = error
        if error:
            self.discard()
        # Whom this tells usually holds this capture; a cycle would wait for the collector.
        on_end, self._on_end = self._on_end, _nothing
        on_end()

    def discard(self, why: str = NOT_KEPT) -> None:
        """Nothing of this answer needs to be kept."""
        self.missing = why
        self.parts = []
        self._room.give(self.held)
        self.held = 0

    def side(self) -> Side:
        return Side(
            self.seconds,
            self.first_seconds,
            self._timeline.queue_us / 1e6,
            self._timeline.compute_us / 1e6,
            self.bytes,
            self.count,
            self.error,
        )

    def _keep(self, part: Part, size: int) -> None:
        if self.held + size > MAX_BYTES or self.count > MAX_PARTS:
            self.discard(TOO_LARGE)
        elif not self._room.take(size):
            self.discard(NO_ROOM)
        else:
            self.held += size
            self.parts.append(part)

    def __repr__(self) -> str:
        state = self.error or ("done" if self.done else "under way")
        return f"<Capture {self.count} parts, {self.bytes} bytes, {state}>"


def watched(reply: Reply, captures: Sequence[Capture], clock: Callable[[], float]) -> Reply:
    """The same reply, which tells the captures what of it has passed."""
    now = clock()
    for capture in captures:
        capture.take(reply.first, now)
    if reply.rest is None:
        for capture in captures:
            capture.end(now)
        return reply

    def close() -> None:
        reply.on_close()
        now = clock()
        for capture in captures:
            capture.end(now, "cancelled")  # unless it was complete

    return Reply(reply.first, _Watched(reply.rest, captures, clock), close)


class _Watched(AsyncIterator[Part]):
    """Not a generator: one that is left before its end would need a task to be closed."""

    __slots__ = ("_captures", "_clock", "_rest")

    def __init__(
        self, rest: AsyncIterator[Part], captures: Sequence[Capture], clock: Callable[[], float]
    ) -> None:
        self._rest = rest
        self._captures = captures
        self._clock = clock

    async def __anext__(self) -> Part:
        try:
            part = await self._rest.__anext__()
        except BaseException as error:
            what = "" if isinstance(error, StopAsyncIteration) else kind_of(error)
            now = self._clock()
            for capture in self._captures:
                capture.end(now, what)
            raise
        now = self._clock()
        for capture in self._captures:
            capture.take(part, now)
        return part


def kind_of(error: BaseException) -> str:
    """The kind of a failure in small letters, as `Side.error` has it."""
    if isinstance(error, PenstockError):
        return error.kind.name.lower()
    # CancelledError and GeneratorExit: nobody waits for the answer any more.
    return "internal" if isinstance(error, Exception) else "cancelled"


def _nothing() -> None:
    return None
