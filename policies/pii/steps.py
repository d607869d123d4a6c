"""Work that is done in steps, between which a caller may let others have their turn.

Redacting a megabyte with a finding in each line takes a second. Threads don't help, since it is
Python that runs; so the work says where it can be interrupted, and whoever does it decides.
"""

import asyncio
from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]

SLICE = 2048  # characters of text between two steps: a millisecond or two where much is found
EACH = 32  # characters that a text counts for beside its own: an empty one takes time as well


def at_once(steps: Steps[T]) -> T:
    """The result, without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result


async def in_turns(steps: Steps[T], check: Callable[[], None]) -> T:
    """The result; other tasks run between steps. `check` may raise, to end the work."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        await asyncio.sleep(0)
        check()
