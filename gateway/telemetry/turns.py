"""Long loops in a thread beside an event loop that serves.

One interpreter runs one thread at a time, and takes it from a busy one after five milliseconds
only: each of them would be a request's. So whoever has much to do rests in between.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

EVERY = 32  # series: some 0.2 ms
REST = 0.0002  # seconds, for which the interpreter is free

T = TypeVar("T")


def in_turns(items: Iterable[T]) -> Iterator[T]:
    """The items, with a rest after so many of them; not to be used on an event loop."""
    for number, item in enumerate(items, 1):
        yield item
        if number % EVERY == 0:
            time.sleep(REST)
