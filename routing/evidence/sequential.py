"""Intervals that hold at every look at once, so that a rollout may be stopped at any of them.

All take the sums so far and `alpha`, the probability with which the truth is ever outside, over
the whole life of the rollout. Each keeps the values that a product of mixture martingales (see
`mixture`) hasn't refuted: of two arms the martingales multiply, and a difference is kept while any
pair of shares with that difference is. That pays for `alpha` once, not once an arm, as the safe
two-sample tests of Turner, Ly and Gruenwald (2021) do.

Assumed is that an arm's requests are independent and alike; a failure that hits many neighbouring
requests of one arm is stronger evidence here than it should be.
"""

from math import inf, log

import numpy as np
from numpy.typing import NDArray

from routing.evidence.counts import PairCounts
from routing.evidence.disagreement import excess
from routing.evidence.histogram import LAST, Histogram, upper_bound
from routing.evidence.interval import Interval
from routing.evidence.mixture import Mixture, furthest

_UPPER = np.array([*(upper_bound(index) for index in range(LAST)), inf])
_LOWER = np.array([0.0, *_UPPER[:-1]])
# Half of a quantile's prior is as good as so many trials: narrowest at a few thousand requests.
_QUANTILE_TRIALS = 100.0
_FINE = 1e-6
_LEAST = 1e-300


def bernoulli(successes: int, n: int, alpha: float) -> tuple[float, float]:
    """The shares that `successes` of `n` trials haven't refuted at any look so far.

    ValueError for impossible counts and an `alpha` outside (0, 1).
    """
    limit = log_limit(alpha)
    seen = Mixture(successes, n - successes)

    def end(side: int) -> float:
        slope = furthest(lambda s: seen.log_wealth(*seen.at_slope(side * s)), limit, n)
        return seen.at_slope(side * slope)[0]

    return end(-1), end(+1)


def difference(s1: int, n1: int, s2: int, n2: int, alpha: float) -> Interval:
    """The candidate's share (`s1` of `n1`) minus the baseline's (`s2` of `n2`).

    Both sums must be of the same time; how many requests an arm gets may not depend on outcomes
    that are still to come. Costs about 0.2 ms.
    """
    limit = log_limit(alpha)
    candidate, baseline = Mixture(s1, n1 - s1), Mixture(s2, n2 - s2)

    def end(side: int) -> float:
        # The largest difference on a convex set lies where both gradients are alike.
        slope = furthest(
            lambda s: (
                candidate.log_wealth(*candidate.at_slope(side * s))
                + baseline.log_wealth(*baseline.at_slope(-side * s))
            ),
            limit,
            min(n1, n2),
        )
        return candidate.at_slope(side * slope)[0] - baseline.at_slope(-side * slope)[0]

    estimate = _share(s1, n1) - _share(s2, n2)
    return Interval(estimate, min(estimate, end(-1)), max(estimate, end(+1)), 1 - alpha)


def disagreement_sequence(counts: PairCounts, alpha: float) -> Interval:
    """The candidate's disagreement rate above noise, as `disagreement.above_noise` has it.

    The same three shares, one martingale each. In the four cells of the table of pairs the
    log-likelihood is concave and the difference linear, so the ends are found by two nested
    searches along the gradient. Where no noise was measured it is taken to be none.
    """
    differs = Mixture(counts.candidate_differs, counts.compared - counts.candidate_differs)
    if not counts.with_noise:
        low, high = bernoulli(counts.candidate_differs, counts.compared, alpha)
        return Interval(excess(counts), low, high, 1 - alpha)
    limit = log_limit(alpha)
    in_differing = Mixture(counts.both_differ, counts.only_candidate)
    in_agreeing = Mixture(counts.only_noise, counts.neither)

    def at(slope: float) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
        # The shares at which wealth grows by `slope` times the difference, found by halving what
        # the difference gains with p.
        low, high = 0.0, 2.0
        while True:
            gain = (low + high) / 2
            p = differs.at_slope(slope * gain)
            # Never level: where p is 0, nothing is known of a, and the limit counts.
            a = in_differing.at_slope(-slope * max(p[0], _LEAST))
            b = in_agreeing.at_slope(-slope * max(p[1], _LEAST))
            if high - low < _FINE:
                return p, a, b
            if a[1] + b[0] > gain:
                low = gain
            else:
                high = gain

    def wealth(slope: float) -> float:
        p, a, b = at(slope)
        return differs.log_wealth(*p) + in_differing.log_wealth(*a) + in_agreeing.log_wealth(*b)

    def end(side: int) -> float:
        slope = furthest(lambda s: wealth(side * s), limit, counts.with_noise)
        p, a, b = at(side * slope)
        return p[0] * a[1] - p[1] * b[0]

    estimate = excess(counts)
    return Interval(estimate, min(estimate, end(-1)), max(estimate, end(+1)), 1 - alpha)


def ratio_of_quantiles(
    candidate: Histogram, baseline: Histogram, q: float, alpha: float
) -> Interval:
    """The candidate's `q` quantile divided by the baseline's; [0, inf] while nothing is known.

    How many requests end at or before a bucket's bound is a count of successes, so the bucket of a
    quantile is bounded by the martingales at its two ends (Howard and Ramdas, Bernoulli 2022),
    half the stake on each. Every pair of buckets that isn't refuted counts from the lower end of
    one to the upper end of the other: the interval holds whatever lies inside the buckets, and is
    therefore never narrower than [1 / 1.05, 1.05] around a ratio.
    """
    if not 0 < q < 1:
        raise ValueError(f"q must lie between 0 and 1: {q}")
    limit = log_limit(alpha)
    of_candidate, of_baseline = _log_wealths(candidate, q), _log_wealths(baseline, q)
    i = np.flatnonzero(of_candidate + of_baseline.min() < limit)
    j = np.flatnonzero(of_baseline + of_candidate.min() < limit)
    possible = of_candidate[i][:, None] + of_baseline[j][None, :] < limit
    low = float(np.min(_LOWER[i][:, None] / _UPPER[j], where=possible, initial=inf))
    with np.errstate(divide="ignore"):
        high = float(np.max(_UPPER[i][:, None] / _LOWER[j], where=possible, initial=0.0))
    known = candidate.total and baseline.total
    estimate = candidate.quantile(q) / baseline.quantile(q) if known else 1.0
    return Interval(estimate, low, high, 1 - alpha)


def _log_wealths(latency: Histogram, q: float) -> NDArray[np.float64]:
    """Shape [buckets]: the evidence against the quantile's lying in each bucket."""
    prior = ((0.5, 0.5), (_QUANTILE_TRIALS * q, _QUANTILE_TRIALS * (1 - q)))
    # Where the quantile lies in a bucket, at least q end by its upper end and at most q before it.
    too_few = np.empty(LAST + 1)
    too_many = np.empty(LAST + 1)
    ended = 0
    few, many = _one_sided(ended, latency.total, q, prior)
    too_many[0] = many
    since = 0
    for index, count in latency.items():
        too_few[since:index], too_many[since + 1 : index + 1] = few, many
        ended += count
        few, many = _one_sided(ended, latency.total, q, prior)
        since = index
    too_few[since:], too_many[since + 1 :] = few, many
    return np.logaddexp(too_few, too_many) - log(2)


def _one_sided(
    successes: int, n: int, q: float, prior: tuple[tuple[float, float], ...]
) -> tuple[float, float]:
    """The log-wealths against a share of at least `q`, and against one of at most `q`."""
    seen = Mixture(successes, n - successes, prior)
    observed = seen.at_slope(0.0)
    at_q = (q, 1 - q)
    return (
        seen.log_wealth(*max(observed, at_q)),
        seen.log_wealth(*min(observed, at_q)),
    )


def _share(successes: int, n: int) -> float:
    return successes / n if n else 0.0


def log_limit(alpha: float) -> float:
    """The log-wealth that a true value exceeds with a probability of at most `alpha`."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1: {alpha}")
    return -log(alpha)
