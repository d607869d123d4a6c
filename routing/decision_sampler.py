"""Which requests of a route are recorded: at most so many a second, by whole users.

A user is kept while its unit, a hash, lies below a threshold, so a lower threshold keeps a subset
of the users and each of them wholly. The threshold follows the traffic, by halves. A user who alone
would fill the budget can't be kept or left out as a whole without distorting everything (often
there is one, a service account); of such a user's requests a part is kept, each by chance.
"""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

WINDOW = 5.0  # seconds from one plan to the next
COUNTED = 2000  # users told apart in a window; the others' requests are counted together
HOT = 8  # a user is hot who surely makes more than an 8th of the budget alone
_ALL = b"\xff" * 17  # above every unit
_BITS = 128


class Kept(NamedTuple):
    """A record's weight, and whether its user is kept as a whole."""

    weight: float
    whole: bool


class Sampler:
    """Decides for one route. `per_second` is the rate of records aimed at, `rng` gives [0, 1)."""

    def __init__(self, per_second: float, rng: Callable[[], float]) -> None:
        self._budget = per_second * WINDOW
        self._per_second = per_second
        self._rng = rng
        self._began = self._ends = 0.0
        self._counts: dict[bytes, int] = {}
        self._others = 0
        self._kept = 0
        self._hot: frozenset[bytes] = frozenset()
        self._thinned = Kept(1.0, False)
        self._threshold = _ALL
        self._whole = Kept(1.0, True)

    def keep(self, unit: bytes, now: float) -> Kept | None:
        """None for a request that is not recorded. `unit` is its user's, `now` in seconds."""
        if now >= self._ends or self._kept >= self._budget:
            self._plan(now)
        counts = self._counts
        if unit in counts:
            counts[unit] += 1
        elif len(counts) < COUNTED:
            counts[unit] = 1
        else:
            self._others += 1
        if unit in self._hot:
            if self._rng() * self._thinned.weight >= 1.0:
                return None
            self._kept += 1
            return self._thinned
        if unit >= self._threshold:
            return None
        self._kept += 1
        return self._whole

    def _plan(self, now: float) -> None:
        """Makes the next window's choice fit the last one's traffic."""
        if self._counts:
            self._adapt(max(now - self._began, 1e-3))
        self._began, self._ends = now, now + WINDOW
        self._counts = {}
        self._others = self._kept = 0

    def _adapt(self, elapsed: float) -> None:
        usual = self._per_second / HOT * min(elapsed, WINDOW)
        most = usual + 3 * sqrt(usual) + HOT  # beyond chance, also in a short time
        hot = {unit: count for unit, count in self._counts.items() if count > most}
        hot_rate = sum(hot.values()) / elapsed
        cold = [0.0] * (_BITS + 1)  # requests of users who are kept up to a depth of halvings
        for unit, count in self._counts.items():
            if unit not in hot:
                cold[_BITS - int.from_bytes(unit, "big").bit_length()] += count
        cold_rate = (sum(cold) + self._others) / elapsed
        for_hot = min(hot_rate, max(self._per_second / 2, self._per_second - cold_rate))
        left = (self._per_second - for_hot) * elapsed
        depth, more = 0, float(self._others)
        kept = sum(cold)
        while kept + more > left and depth < _BITS:
            kept -= cold[depth]
            depth += 1
            more /= 2
        self._hot = frozenset(hot)
        self._thinned = Kept(hot_rate / for_hot if hot else 1.0, False)
        self._whole = Kept(2.0**depth, True)
        self._threshold = (1 << (_BITS - depth)).to_bytes(17, "big")[1:] if depth else _ALL
