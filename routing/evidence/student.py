"""How far an estimate may be off whose error was itself estimated, from little."""

from functools import lru_cache
from math import atan, cos, pi, sin, sqrt

from routing.evidence.proportion import z_score

_MANY = 1000  # degrees of freedom, at which Student's distribution is as good as the normal one


@lru_cache(maxsize=1024)
def t_score(level: float, freedom: int) -> float:
    """How many standard errors hold `level` of Student's distribution, both sides.

    `freedom` are its degrees of freedom, at least 1. ValueError for those below, and for a level
    outside (0, 1).
    """
    if freedom < 1:
        raise ValueError(f"freedom must be at least 1: {freedom}")
    low = z_score(level)
    if freedom >= _MANY:
        return low
    high = low
    while _within(high, freedom) < level:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if _within(middle, freedom) < level:
            low = middle
        else:
            high = middle
    return high


def _within(t: float, freedom: int) -> float:
    """The probability of [-t, t] (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = atan(t / sqrt(freedom))
    step = cos(angle) ** 2
    odd = freedom % 2
    term, total = (cos(angle) if odd else 1.0), 0.0
    for k in range(odd, freedom - 1, 2):
        total += term
        term *= step * (k + 1) / (k + 2)
    if odd:
        return 2 / pi * (angle + sin(angle) * total)
    return sin(angle) * total
