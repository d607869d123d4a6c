"""A reply that is remembered while it passes, and told of when it was complete."""

from collections.abc import AsyncIterator, Callable, Sequence

from policies.cache.counts import Unkept
from protos.exchange_objects import bytes_of
from protos.service import Reply
from protos.values import OpenAi, Part

OVERHEAD = 256  # bytes of a part beside its data
TOO_LARGE: Unkept = "size"
INCOMPLETE: Unkept = "incomplete"

# The parts, or None and why there are none to be kept.
Ended = Callable[[Sequence[Part] | None, Unkept | None], None]


def size_of(part: Part) -> int:
    """About how many bytes a part takes."""
    return OVERHEAD + bytes_of(part.payload)


def recorded(reply: Reply, most: int, ended: Ended) -> Reply:
    """The same reply. `ended` is called once: with all parts, if they have at most `most` bytes."""
    if reply.rest is None:
        if size_of(reply.first) > most:
            ended(None, TOO_LARGE)
        elif not reply.first.final or _failed(reply.first):
            ended(None, INCOMPLETE)
        else:
            ended((reply.first,), None)
        return reply
    recording = _Recording(reply.first, reply.rest, most, ended)

    def close() -> None:
        try:
            reply.on_close()
        finally:
            recording.end(INCOMPLETE)

    return Reply(reply.first, recording, close)


class _Recording(AsyncIterator[Part]):
    """Not a generator: one that is left before its end would need a task to be closed."""

    __slots__ = ("_bytes", "_ended", "_most", "_parts", "_rest")

    def __init__(self, first: Part, rest: AsyncIterator[Part], most: int, ended: Ended) -> None:
        self._rest = rest
        self._most = most
        self._ended: Ended | None = ended
        self._parts: list[Part] = []
        self._bytes = 0
        self._take(first)

    async def __anext__(self) -> Part:
        try:
            part = await self._rest.__anext__()
        except BaseException:
            self.end(INCOMPLETE)  # unless the last part has been seen
            raise
        self._take(part)
        return part

    def end(self, why: Unkept | None = None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(None if why else self._parts, why)
        self._parts = []

    def _take(self, part: Part) -> None:
        if self._ended is None:
            return
        self._bytes += size_of(part)
        if self._bytes > self._most:
            self.end(TOO_LARGE)
        elif _failed(part):
            self.end(INCOMPLETE)
        else:
            self._parts.append(part)
            if part.final:
                self.end()


def _failed(part: Part) -> bool:
    """Whether the part tells a failure in OpenAI's own form, which is no answer."""
    return isinstance(part.payload, OpenAi) and part.payload.body.get("error") is not None
