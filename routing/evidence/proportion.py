"""A share, and how sure it is."""

from math import sqrt
from statistics import NormalDist

from routing.evidence.interval import Interval


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The share `successes / n` with its score interval (Wilson, JASA 1927).

    Without any trial the estimate is 0 and the interval all of [0, 1]. ValueError for counts that
    are no counts.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n: {successes} of {n}")
    if n == 0:
        return Interval(0.0, 0.0, 1.0, level)
    return score_interval(successes / n, n, level)


def score_interval(share: float, n: float, level: float) -> Interval:
    """Wilson's interval around `share`; `n > 0` may be an effective number of trials."""
    z2 = z_score(level) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # At the ends the bounds are exact; rounding must not exclude the estimate.
    low = 0.0 if share == 0 else max(0.0, min(share, centre - reach))
    high = 1.0 if share == 1 else min(1.0, max(share, centre + reach))
    return Interval(share, low, high, level)


def z_score(level: float) -> float:
    """How many standard deviations hold `level` of a normal distribution, both sides."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1: {level}")
    return NormalDist().inv_cdf(0.5 + level / 2)


def score_hull(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's interval together with the one that has its skewness taken out.

    Where the share is small Wilson's lower end is missed too often (Cai, J. Stat. Plan. Inference
    2005; Laud, Pharmaceutical Statistics 2017), and its upper end too rarely. That is no matter for
    the interval, but for ends that are to be combined with others' it is.
    """
    plain = wilson(successes, n, level)
    if n == 0:
        return plain
    share, z2 = plain.estimate, z_score(level) ** 2
    # (share - skew (1 - 2p) - p)^2 = z^2 p (1 - p) / n, solved for p.
    skew = (z2 - 1) / (6 * n)
    a = (1 - 2 * skew) ** 2 + z2 / n
    half_b = (share - skew) * (1 - 2 * skew) + z2 / (2 * n)
    root = sqrt(max(0.0, half_b**2 - a * (share - skew) ** 2))
    low = max(0.0, min(plain.low, (half_b - root) / a))
    high = min(1.0, max(plain.high, (half_b + root) / a))
    return Interval(share, low, high, level)
