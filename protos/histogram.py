"""Counts by bucket, cheap enough for every request: no locks, as one thread at a time writes them.

An increment of prometheus-client's takes a lock and looks its child up; what is counted here is
read only when a report is made.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple


class Exemplar(NamedTuple):
    """One request that a bucket counted; `at` is Unix time in seconds."""

    trace_id: str
    value: float
    at: float


class Histogram:
    """`bounds` are the upper ends of the buckets, included; one more bucket has none."""

    __slots__ = ("bounds", "counts", "exemplars", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.exemplars: dict[int, Exemplar] = {}  # the newest of each bucket

    def observe(self, value: float) -> int:
        """Counts the value; its bucket."""
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += 1
        self.sum += value
        return bucket

    def copy(self) -> "Histogram":
        """The counts as they are now, without exemplars."""
        made = Histogram(self.bounds)
        made.counts, made.sum = list(self.counts), self.sum
        return made

    def __repr__(self) -> str:
        return f"<Histogram of {sum(self.counts)}, {self.sum:g} in all>"
