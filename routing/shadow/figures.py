"""The figures of a report that aren't about agreement or failures: times, sizes, scores."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import exp, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from routing.evidence.drift import Drift, ks, psi
from routing.evidence.histogram import Histogram
from routing.evidence.interval import Interval
from routing.evidence.latency import LatencyComparison, compare_latency
from routing.evidence.proportion import z_score
from routing.shadow.reservoir import Reservoir


@dataclass(frozen=True, slots=True)
class Latency:
    """One measure of time over the compared pairs; seconds.

    The histograms are of all pairs, `comparison` and `ratios` (candidate by primary, by quantile)
    of `sample` pairs, which are all of them or chosen at random.
    """

    sample: int
    comparison: LatencyComparison
    ratios: tuple[tuple[float, Interval], ...]
    primary: Histogram
    candidate: Histogram


class Latencies:
    """Collects one measure of time."""

    __slots__ = ("candidate", "primary")

    def __init__(self) -> None:
        self.primary = Histogram()
        self.candidate = Histogram()

    def add(self, primary: float, candidate: float) -> None:
        self.primary.add(primary)
        self.candidate.add(candidate)

    def figures(
        self, sample: NDArray[np.float64], quantiles: Iterable[float], level: float
    ) -> Latency | None:
        """`sample` has a row for each pair: primary and candidate. None without any."""
        if not sample.size:
            return None
        first, second = np.sort(sample[:, 0]), np.sort(sample[:, 1])
        return Latency(
            len(sample),
            compare_latency(sample[:, 0], sample[:, 1], level),
            tuple((q, _ratio(first, second, q, level)) for q in quantiles),
            self.primary,
            self.candidate,
        )


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the compared answers: means, and how many answers differ in size."""

    primary_mean: float
    candidate_mean: float
    differ: int


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of `sample` pairs, and how far their distributions are apart."""

    sample: int
    ks: Drift
    psi: Interval
    primary: NDArray[np.float64] = field(repr=False)
    candidate: NDArray[np.float64] = field(repr=False)


def scores(pairs: Sequence[tuple[float, float]], level: float) -> Scores | None:
    """None without any pair; the scores are finite."""
    if not pairs:
        return None
    both = np.asarray(pairs, dtype=np.float64)
    primary, candidate = both[:, 0], both[:, 1]
    return Scores(
        len(both), ks(primary, candidate), psi(primary, candidate, level=level), primary, candidate
    )


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that the comparison itself made of each pair, such as `max_abs_error` or `cosine`.

    `not_finite` values (infinite, NaN) are in `count` and in nothing else. Quantiles are of a
    random sample where there are many.
    """

    name: str
    count: int
    not_finite: int
    low: float
    p50: float
    p99: float
    high: float


class MeasureCounts:
    """Collects one measure."""

    __slots__ = ("count", "high", "low", "sample")

    def __init__(self, sample: Reservoir[float]) -> None:
        self.sample = sample
        self.count = 0
        self.low = inf
        self.high = -inf

    def add(self, value: float) -> None:
        self.count += 1
        if -inf < value < inf:
            self.sample.add(value)
            self.low = min(self.low, value)
            self.high = max(self.high, value)

    def figures(self, name: str) -> Measure:
        if not self.sample.items:
            return Measure(name, self.count, self.count, 0.0, 0.0, 0.0, 0.0)
        p50, p99 = np.quantile(self.sample.items, [0.5, 0.99], method="inverted_cdf")
        missing = self.count - self.sample.seen
        return Measure(name, self.count, missing, self.low, float(p50), float(p99), self.high)


def _ratio(
    primary: NDArray[np.float64], candidate: NDArray[np.float64], q: float, level: float
) -> Interval:
    """The ratio of two quantiles of sorted samples; its upper end is infinite with few samples.

    Each quantile's interval is distribution-free, between order statistics; those of the
    logarithms are put together as for independent samples (Zou and Donner 2008), which errs
    towards width, as the times of one pair go together.
    """
    below, above = _quantile(primary, q, level), _quantile(candidate, q, level)
    if not below.low or not above.low:  # a time of 0 has no logarithm
        ratio = above.estimate / below.estimate if below.estimate else 1.0
        return Interval(ratio, 0.0, inf, level)
    estimate = log(above.estimate / below.estimate)
    down = sqrt(log(above.estimate / above.low) ** 2 + log(below.high / below.estimate) ** 2)
    up = sqrt(log(above.high / above.estimate) ** 2 + log(below.estimate / below.low) ** 2)
    high = inf if up == inf else exp(estimate + up)
    return Interval(exp(estimate), exp(estimate - down), high, level)


def _quantile(ordered: NDArray[np.float64], q: float, level: float) -> Interval:
    n = len(ordered)
    reach = z_score(level) * sqrt(n * q * (1 - q))
    low, high = int(np.floor(n * q - reach)), int(np.ceil(n * q + reach)) + 1
    estimate = float(ordered[min(n, max(1, int(np.ceil(n * q)))) - 1])
    return Interval(
        estimate,
        float(ordered[low - 1]) if low >= 1 else 0.0,
        float(ordered[high - 1]) if high <= n else inf,
        level,
    )
