"""Whether two samples of scores have one distribution."""

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routing.evidence.interval import Interval
from routing.evidence.proportion import z_score

# What a population stability index is commonly taken to say (Siddiqi, Credit Risk Scorecards,
# 2006): below the first no change, above the second a change that matters.
PSI_SLIGHT = 0.10
PSI_LARGE = 0.25


@dataclass(frozen=True, slots=True)
class Drift:
    """`statistic` is the largest distance of the two distribution functions, 0 to 1."""

    statistic: float
    p_value: float


def ks(primary: ArrayLike, candidate: ArrayLike) -> Drift:
    """The two-sample Kolmogorov-Smirnov test with Stephens' correction of the limit (1970).

    One-dimensional samples of any lengths. The p-value is for independent samples without ties:
    for scores of the same requests, and for tied ones, it is too large rather than too small.
    ValueError for an empty sample and for NaN.
    """
    first, second = _sorted(primary, "primary"), _sorted(candidate, "candidate")
    both = np.concatenate([first, second])
    below_first = np.searchsorted(first, both, side="right") / first.size
    below_second = np.searchsorted(second, both, side="right") / second.size
    statistic = float(np.max(np.abs(below_first - below_second)))
    root = sqrt(first.size * second.size / (first.size + second.size))
    return Drift(statistic, _kolmogorov((root + 0.12 + 0.11 / root) * statistic))


def psi(primary: ArrayLike, candidate: ArrayLike, bins: int = 10, level: float = 0.95) -> Interval:
    """The population stability index, the sum of (p - q) ln(p / q), over the primary's quantiles.

    `bins` classes that hold equal parts of the primary (fewer where scores are tied); half a score
    is added to each class, so that an empty one is finite. Without drift the index times n m /
    (n + m) has a chi-squared distribution (Yurdakul 2018) and a noncentral one under small drift,
    whose mean and variance give the interval; it is too wide rather than too narrow for scores of
    the same requests. ValueError for an empty sample, NaN and fewer than two bins.
    """
    if bins < 2:
        raise ValueError(f"bins must be at least 2: {bins}")
    z2 = z_score(level) ** 2
    first, second = _sorted(primary, "primary"), _sorted(candidate, "candidate")
    inner = np.arange(1, bins) / bins
    bounds = np.unique(np.quantile(first, inner, method="inverted_cdf"))
    p, q = _shares(first, bounds), _shares(second, bounds)
    index = float(np.sum((p - q) * np.log(p / q)))
    scale = first.size * second.size / (first.size + second.size)
    free = bounds.size
    # Those noncentralities d for which (x - free - d)^2 <= z^2 2 (free + 2 d).
    x = scale * index
    centre = x - free + 2 * z2
    reach = sqrt(max(0.0, centre**2 - (x - free) ** 2 + 2 * z2 * free))
    low, high = max(0.0, centre - reach), max(0.0, centre + reach)
    return Interval(index, min(index, low / scale), max(index, high / scale), level)


def _kolmogorov(x: float) -> float:
    """The probability that the Kolmogorov limit exceeds x."""
    if x < 0.2:
        return 1.0
    total = sum((-1.0) ** (k - 1) * exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * total))


def _sorted(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if not array.size:
        raise ValueError(f"{name}: there are no scores")
    if np.isnan(array[-1]):
        raise ValueError(f"{name}: {int(np.isnan(array).sum())} of {array.size} scores are NaN")
    return array


def _shares(values: NDArray[np.float64], bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    ends = np.searchsorted(values, bounds, side="right")
    counts = np.diff(np.concatenate([[0], ends, [values.size]])) + 0.5
    return np.asarray(counts / counts.sum())
