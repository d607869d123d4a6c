"""Two latency distributions side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routing.evidence.histogram import GROWTH, Histogram, upper_bound
from routing.evidence.interval import Interval


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Seconds; all 0 when `count` is."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True)
class LatencyComparison:
    """`delta` is the median of candidate minus primary, pair by pair, in seconds.

    It is None for histograms, which know no pairs, and with too few pairs for an interval.
    """

    primary: LatencySummary
    candidate: LatencySummary
    delta: Interval | None


def compare_latency(
    primary: Sequence[float] | NDArray[np.float64] | Histogram,
    candidate: Sequence[float] | NDArray[np.float64] | Histogram,
    level: float = 0.95,
) -> LatencyComparison:
    """Two histograms, or two sequences of seconds whose places say which belong together.

    Quantiles are the smallest latency that so many don't exceed; a histogram's are exact to 5 %.
    ValueError for sequences of different lengths, for a sequence beside a histogram, and for NaN.
    """
    if isinstance(primary, Histogram) and isinstance(candidate, Histogram):
        return LatencyComparison(_of_histogram(primary), _of_histogram(candidate), None)
    if isinstance(primary, Histogram) or isinstance(candidate, Histogram):
        raise ValueError("a histogram can't be compared with a sequence")
    first, second = _seconds(primary, "primary"), _seconds(candidate, "candidate")
    if first.size != second.size:
        raise ValueError(
            f"pairs have two latencies: there are {first.size} primary and {second.size} candidate"
        )
    return LatencyComparison(_of(first), _of(second), median(second - first, level))


def median(values: NDArray[np.float64], level: float = 0.95) -> Interval | None:
    """The median and the order statistics around it that the sign test doesn't refute.

    Distribution-free, and exact but for conservatism where values are tied. None where even the
    smallest and the largest value hold the median less often than `level`: below 6 values at 95 %.
    """
    n = values.size
    beyond = _below_half(n, (1 - level) / 2)
    if beyond < 0:
        return None
    ordered = np.sort(values)
    return Interval(
        float(np.median(ordered)), float(ordered[beyond]), float(ordered[n - 1 - beyond]), level
    )


def _below_half(n: int, tail: float) -> int:
    """The largest k for which n tosses show at most k heads with a probability of at most `tail`.

    -1 where even no heads at all are likelier. So k values at either end can be left out.
    """
    heads = np.arange(n + 1)
    log_ways = np.concatenate([[0.0], np.cumsum(np.log((n - heads[:-1]) / (heads[:-1] + 1)))])
    probability = np.cumsum(np.exp(log_ways - n * np.log(2)))
    return int(np.searchsorted(probability, tail, side="right")) - 1


def _of(seconds: NDArray[np.float64]) -> LatencySummary:
    if not seconds.size:
        return LatencySummary(0, 0.0, 0.0, 0.0, 0.0)
    p50, p90, p99 = np.quantile(seconds, [0.5, 0.9, 0.99], method="inverted_cdf")
    return LatencySummary(seconds.size, float(np.mean(seconds)), float(p50), float(p90), float(p99))


def _of_histogram(latency: Histogram) -> LatencySummary:
    # Half a bucket below its upper end, for the mean of many.
    total = sum(count * upper_bound(index) for index, count in latency.items())
    mean = total * (1 + 1 / GROWTH) / 2 / latency.total if latency.total else 0.0
    return LatencySummary(
        latency.total, mean, latency.quantile(0.5), latency.quantile(0.9), latency.quantile(0.99)
    )


def _seconds(values: Sequence[float] | NDArray[np.float64], name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name}: latencies come in one dimension, not {array.ndim}")
    if np.isnan(array).any():
        raise ValueError(f"{name}: {int(np.isnan(array).sum())} of {array.size} latencies are NaN")
    return array
