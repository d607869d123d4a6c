"""A kept answer as a reply, in the parts in which it came."""

from collections.abc import AsyncIterator

from policies.cache.entry import decode
from protos.service import Reply
from protos.values import Part


def replay(entry: bytes) -> Reply:
    """Raises ValueError for bytes that are no entry."""
    parts = decode(entry)
    if len(parts) == 1:
        return Reply(parts[0])
    return Reply(parts[0], _Parts(parts[1:]))


class _Parts(AsyncIterator[Part]):
    """The parts after the first."""

    __slots__ = ("_parts",)

    def __init__(self, parts: list[Part]) -> None:
        self._parts = iter(parts)

    async def __anext__(self) -> Part:
        for part in self._parts:
            return part
        raise StopAsyncIteration
