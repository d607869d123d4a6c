"""The beta-binomial mixture: what may be looked at after every trial and still be believed.

Against a share p, the likelihood of the trials averaged over a prior and divided by their
likelihood under p starts at 1 and is a martingale if p is true. By Ville's inequality it ever
exceeds 1 / alpha with a probability of at most alpha, however often one looks and whenever one
stops (Robbins, Ann. Math. Stat. 1970; Howard, Ramdas, McAuliffe and Sekhon, Ann. Stat. 2021).
Products of such wealths over independent sequences are martingales again, which is what the
two-sample intervals in `sequential` rest on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, inf, lgamma, log, sqrt

# Half of the prior is Jeffreys', which loses half a logarithm of the trials everywhere; the other
# half lies on the small shares that failures and flips have, and loses less there.
JEFFREYS = ((0.5, 0.5),)
MOSTLY_RARE = ((0.5, 0.5), (0.3, 30.0))


@dataclass(slots=True)
class Mixture:
    """`successes` and `failures` of one sequence, and the Beta(a, b)s that the mixture averages.

    The prior decides where the intervals are narrowest, never whether they hold; it must not depend
    on the data.
    """

    successes: int
    failures: int
    prior: tuple[tuple[float, float], ...] = MOSTLY_RARE
    _log_marginal: float = field(init=False)

    def __post_init__(self) -> None:
        if min(self.successes, self.failures) < 0:
            raise ValueError(
                f"counts must not be negative: {self.successes} successes, {self.failures} failures"
            )
        parts = [
            _log_beta(a + self.successes, b + self.failures) - _log_beta(a, b)
            for a, b in self.prior
        ]
        most = max(parts)
        self._log_marginal = most + log(sum(exp(part - most) for part in parts) / len(parts))

    def log_wealth(self, p: float, rest: float) -> float:
        """The logarithm of the martingale against the share `p`; `rest` is 1 - p, exactly."""
        wealth = self._log_marginal
        if self.successes:
            wealth = wealth - self.successes * log(p) if p > 0 else inf
        if self.failures:
            wealth = wealth - self.failures * log(rest) if rest > 0 else inf
        return wealth

    def at_slope(self, slope: float) -> tuple[float, float]:
        """The share at which `log_wealth`, which is convex, grows by `slope`; and 1 - share.

        At 0 that is the observed share; a slope beyond what the ends reach gives the end.
        """
        if slope >= 0:
            return _rise(self.successes, self.failures, slope)
        rest, p = _rise(self.failures, self.successes, -slope)
        return p, rest


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _rise(successes: int, failures: int, slope: float) -> tuple[float, float]:
    # The positive root of slope p^2 + (n - slope) p - successes = 0, and 1 minus it, each in the
    # form that doesn't cancel.
    n = successes + failures
    if n == 0:
        return (1.0, 0.0) if slope > 0 else (0.5, 0.5)
    root = sqrt((n - slope) ** 2 + 4 * slope * successes)
    if slope <= n:
        p = 2 * successes / (n - slope + root) if successes else 0.0
    else:
        p = (slope - n + root) / (2 * slope)
    return p, 2 * failures / (n + slope + root)


def furthest(log_wealth: Callable[[float], float], limit: float, scale: float) -> float:
    """The slope at which `log_wealth`, which grows with it, passes `limit` > 0; never before it.

    `scale` is a slope to begin at. Where the limit isn't reached at all, a slope so steep that it
    stands for the end.
    """
    high = max(scale, 1.0)
    steepest = high * _STEEPEST
    while log_wealth(high) < limit:
        high *= 4
        if high > steepest:
            return high
    low = high / 4
    while log_wealth(low) >= limit:
        low, high = low / 4, low
    while high > low * _CLOSE:
        middle = sqrt(low * high)
        if log_wealth(middle) >= limit:
            high = middle
        else:
            low = middle
    return high


_STEEPEST = 1e24  # a share is then that close to its end
_CLOSE = 1 + 1e-5
