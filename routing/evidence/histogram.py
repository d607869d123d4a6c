"""A histogram of latencies with buckets 5 % wide, that adds up across processes and hours.

As HdrHistogram and DDSketch have it (Masson et al., VLDB 2019): the bucket's index is a logarithm,
so any quantile is known to within the bucket's width, and two histograms add up exactly.
"""

from collections.abc import Iterable, Mapping
from math import ceil, floor, log

GROWTH = 1.05
SMALLEST = 1e-5  # seconds; everything below shares bucket 0
LARGEST = 3600.0
_LOG_GROWTH = log(GROWTH)
LAST = floor(log(LARGEST / SMALLEST) / _LOG_GROWTH) + 1


def bucket(seconds: float) -> int:
    """The index of the bucket; bucket i > 0 holds (upper_bound(i - 1), upper_bound(i)]."""
    if seconds <= SMALLEST:
        return 0
    # Rounded, so that a bound itself falls into the bucket that it closes.
    return min(LAST, ceil(round(log(seconds / SMALLEST) / _LOG_GROWTH, 9)))


def upper_bound(index: int) -> float:
    """The largest latency, in seconds, that falls into the bucket."""
    return SMALLEST * GROWTH**index


class Histogram:
    """Counts by bucket; `add` costs a logarithm."""

    __slots__ = ("counts", "total")

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts or {})
        self.total = sum(self.counts.values())

    def add(self, seconds: float) -> None:
        index = bucket(seconds)
        self.counts[index] = self.counts.get(index, 0) + 1
        self.total += 1

    def merge(self, more: "Histogram") -> None:
        for index, count in more.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count
        self.total += more.total

    def quantile(self, q: float) -> float:
        """The upper bound, in seconds, of the bucket that holds the quantile; 0 when empty."""
        rank = max(1, ceil(q * self.total))
        seen = 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= rank:
                return upper_bound(index)
        return 0.0

    def above(self, index: int) -> int:
        """How many fell into buckets after `index`."""
        return sum(count for each, count in self.counts.items() if each > index)

    def items(self) -> Iterable[tuple[int, int]]:
        return sorted(self.counts.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<Histogram {self.total}, p50 {self.quantile(0.5):.4f} s>"
