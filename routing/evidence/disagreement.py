"""How much more the candidate differs from the primary than the primary differs from itself."""

from math import hypot

from routing.evidence.counts import PairCounts
from routing.evidence.interval import Interval
from routing.evidence.proportion import score_hull


def above_noise(counts: PairCounts, level: float = 0.95) -> Interval:
    """The candidate's disagreement rate minus the noise rate, in shares (0.01 is 1 pp).

    Noise is measured on a random sample of the same requests, so the likelihood factors into three
    independent shares: p, that the candidate differs (from all pairs), and a and b, that the second
    primary differs where the candidate does and where it doesn't (from those with noise). The
    estimate p(1 - a) - (1 - p)b is the maximum-likelihood one: it uses the pairs without noise, and
    what both answers have in common cancels. Its interval puts score intervals of the three
    together by the variances recovered from their ends (MOVER; Zou and Donner, Statistics in
    Medicine 2008; Newcombe, ibid. 1998), so it is good at small counts and at zero.

    Where no noise was measured it is taken to be none. A candidate that repairs answers can lie
    below 0.
    """
    differs = score_hull(counts.candidate_differs, counts.compared, level)
    if not counts.with_noise:
        return differs
    in_differing, in_agreeing = _noise(counts, level)
    p, a, b = differs.estimate, in_differing.estimate, in_agreeing.estimate
    slope = 1 - a + b
    down = hypot(
        slope * (p - differs.low), p * (in_differing.high - a), (1 - p) * (in_agreeing.high - b)
    )
    up = hypot(
        slope * (differs.high - p), p * (a - in_differing.low), (1 - p) * (b - in_agreeing.low)
    )
    estimate = excess(counts)
    return Interval(estimate, max(-1.0, estimate - down), min(1.0, estimate + up), level)


def excess(counts: PairCounts) -> float:
    """The estimate alone, and 0 without pairs."""
    p = _share(counts.candidate_differs, counts.compared)
    a = _share(counts.both_differ, counts.both_differ + counts.only_candidate)
    b = _share(counts.only_noise, counts.only_noise + counts.neither)
    return p * (1 - a) - (1 - p) * b


def _noise(counts: PairCounts, level: float) -> tuple[Interval, Interval]:
    """The noise where the candidate differs, and where it doesn't."""
    return (
        score_hull(counts.both_differ, counts.both_differ + counts.only_candidate, level),
        score_hull(counts.only_noise, counts.only_noise + counts.neither, level),
    )


def _share(successes: int, n: int) -> float:
    return successes / n if n else 0.0
