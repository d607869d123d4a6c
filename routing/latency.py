"""What this process measures itself: a peak-sensitive average, a quantile of recent latencies.

Both are fed with the time by their callers and cost next to nothing while nothing is asked of them.
"""

from math import exp

from routing.evidence.histogram import Histogram

# A slow path is forgotten, and so probed again, with this time constant.
FORGET = 5.0  # seconds
# What is left of a peak after this is too little to choose by.
NEGLIGIBLE = 1e-5  # seconds
WINDOW = 30.0  # seconds; a quantile is of the last one to two windows
ENOUGH = 100  # samples, below which a quantile in the tail is a guess
REFRESH = 0.5  # seconds that a quantile is kept before it is computed again


class PeakEwma:
    """An average that jumps to every peak at once and decays from it, as Finagle's Peak EWMA does.

    A slow endpoint must be left at its first slow answers and come back slowly, so that each look
    at it costs few requests; a plain average does the opposite.
    """

    __slots__ = ("_at", "_value")

    def __init__(self) -> None:
        self._value = 0.0
        self._at = 0.0

    def observe(self, sample: float, now: float) -> None:
        """Takes a sample, in seconds, of a finished call."""
        left = exp((self._at - now) / FORGET) if now > self._at else 1.0
        value = self._value * left
        self._value = sample if sample > value else value + sample * (1.0 - left)
        self._at = now

    def at_least(self, sample: float, now: float) -> None:
        """Takes what is only a lower bound: a call that was given up. It can raise, never calm."""
        if sample > self.at(now):
            self._value = sample
            self._at = now

    def at(self, now: float) -> float:
        """The average now, in seconds; without samples it tends to zero."""
        if self._value < NEGLIGIBLE:
            return 0.0
        return self._value * exp((self._at - now) / FORGET)


class Recent:
    """The latencies of the last half to whole minute, for one quantile of them."""

    __slots__ = ("_began", "_computed", "_current", "_former", "_kept", "_quantile")

    def __init__(self) -> None:
        self._current = Histogram()
        self._former = Histogram()
        self._began = 0.0
        self._quantile: float | None = None  # that `_kept` is
        self._kept: float | None = None
        self._computed = 0.0

    def add(self, seconds: float, now: float) -> None:
        self._roll(now)
        self._current.add(seconds)

    def quantile(self, q: float, now: float) -> float | None:
        """The quantile in seconds, at most half a second old; None while samples are too few."""
        if q == self._quantile and 0.0 <= now - self._computed < REFRESH:
            return self._kept
        self._roll(now)
        self._quantile = q
        self._computed = now
        if self._current.total + self._former.total < ENOUGH:
            self._kept = None
        else:
            both = Histogram(self._former.counts)
            both.merge(self._current)
            self._kept = both.quantile(q)
        return self._kept

    def _roll(self, now: float) -> None:
        age = now - self._began
        if age < WINDOW:
            return
        self._former = self._current if age < 2 * WINDOW else Histogram()
        self._current = Histogram()
        self._began = now
