"""A uniform sample of a stream whose length nobody knows, in bounded memory."""

from math import exp, floor, log
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")


class Reservoir(Generic[T]):
    """Every item offered is in `items` with the same probability.

    Algorithm L (Li, ACM TOMS 1994): it draws how many items to skip, so one that isn't taken costs
    a comparison.
    """

    __slots__ = ("_next", "_rng", "_weight", "capacity", "items", "seen")

    def __init__(self, capacity: int, rng: Random) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1: {capacity}")
        self.capacity = capacity
        self.items: list[T] = []
        self.seen = 0
        self._rng = rng
        self._weight = 1.0
        self._next = 0

    def add(self, item: T) -> None:
        self.seen += 1
        if len(self.items) < self.capacity:
            self.items.append(item)
            if len(self.items) == self.capacity:
                self._skip()
        elif self.seen == self._next:
            self.items[self._rng.randrange(self.capacity)] = item
            self._skip()

    def _skip(self) -> None:
        self._weight *= exp(log(self._draw()) / self.capacity)
        self._next = self.seen + floor(log(self._draw()) / log(1.0 - self._weight)) + 1

    def _draw(self) -> float:
        return 1.0 - self._rng.random()  # in (0, 1]: it has a logarithm

    def __repr__(self) -> str:
        return f"<Reservoir {len(self.items)} of {self.seen}>"
