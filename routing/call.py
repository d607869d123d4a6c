"""A call in flight on a stream: a future for its first part, a queue for the rest."""

import asyncio
from collections import deque
from math import inf

from protos.errors import PenstockError
from protos.exchange_objects import bytes_of
from protos.values import InferRequest, Part


class Call:
    """Belongs to the lane that carries it; `wire` is empty once it was written.

    `idle_after` is for how many seconds its consumer may leave parts unread; `unread` is how much
    they are: their bytes, and one for each, as an empty one takes room, too.
    """

    __slots__ = (
        "deadline",
        "first",
        "first_deadline",
        "id",
        "idle",
        "idle_after",
        "more",
        "parts",
        "shadow",
        "size",
        "streaming",
        "timer",
        "unread",
        "wire",
        "written",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        call_id: int,
        wire: bytes,
        request: InferRequest,
        idle_after: float,
    ) -> None:
        context = request.context
        self.id = call_id
        self.wire = wire
        self.size = len(wire)
        self.deadline = context.deadline
        self.shadow = context.shadow
        self.streaming = context.streaming
        # A unary reply has one part, which the deadline is for.
        self.first_deadline = context.first_deadline if context.streaming else inf
        route = context.route
        idle = None if route is None else route.spec.timeouts.idle
        self.idle_after = idle_after if idle is None else idle
        self.first: asyncio.Future[Part] = loop.create_future()
        self.parts: deque[tuple[Part | PenstockError, int]] = deque()  # with their bytes
        self.unread = 0
        self.more: asyncio.Event | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.idle: asyncio.TimerHandle | None = None
        self.written = False

    def fail(self, error: PenstockError) -> None:
        if not self.first.done():
            self.first.set_exception(error)
        else:
            self._push(error, 0)

    def take(self, part: Part) -> None:
        if not self.first.done():
            self.first.set_result(part)
        else:
            self._push(part, bytes_of(part.payload))

    def next(self) -> tuple[Part | PenstockError, int]:
        """Takes the oldest part that is unread, and its bytes."""
        found = self.parts.popleft()
        self.unread -= 1 + found[1]
        return found

    def _push(self, part: Part | PenstockError, size: int) -> None:
        self.unread += 1 + size
        self.parts.append((part, size))
        if self.more is not None:
            self.more.set()

    def forget_timers(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.idle is not None:
            self.idle.cancel()
