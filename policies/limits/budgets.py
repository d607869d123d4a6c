"""Budgets of a calendar day or month, counted by one process that knows of the others.

A process counts what it admits. What others have used of the same budgets it is told from time to
time (`Elsewhere`), and until it is told again it admits its share of what was left then: processes
that together are one gateway use no more than there is.
"""

from collections.abc import Callable, Mapping

from policies.limits.allowance import NEVER, Known
from policies.limits.calendar import Every, Period, period

KEYS = 10_000  # of one budget; beyond that those who have used the least are forgotten
BACKWARDS = 3600.0  # seconds that the wall clock may go back without another period beginning
_NOTHING = Period("", 0.0, 0.0)

# By limit (`str(LimitId)`), name of the period, and key.
Uses = Mapping[tuple[str, str, str], float]


class Elsewhere:
    """What other processes, those of before a restart among them, have used of budgets."""

    def __init__(self) -> None:
        self.version = 0
        self._uses: Uses = {}

    def learn(self, uses: Uses) -> None:
        self._uses = uses
        self.version += 1

    def used(self, limit: str, period: str, key: str) -> float:
        return self._uses.get((limit, period, key), 0.0)


class Count:
    """What one key has used: here, here when others were last heard of, and elsewhere."""

    __slots__ = ("elsewhere", "heard", "here", "version")

    def __init__(self) -> None:
        self.here = self.heard = self.elsewhere = 0.0
        self.version = -1


class Counts:
    """What the keys of one budget have used in the period that `wall` (Unix time) is in.

    It outlives changes of the budget's amount. `limit` is `str(LimitId)`.
    """

    __slots__ = ("__weakref__", "_counts", "_elsewhere", "_every", "_limit", "_wall", "period")

    def __init__(
        self, limit: str, every: Every, wall: Callable[[], float], elsewhere: Elsewhere
    ) -> None:
        self._limit = limit
        self._every: Every = every
        self._wall = wall
        self._elsewhere = elsewhere
        self.period = _NOTHING
        self._counts: dict[str, Count] = {}

    def now(self) -> float:
        """Unix time; begins the next period when it has come."""
        wall = self._wall()
        if not self.period.start - BACKWARDS <= wall < self.period.end:
            self.period = period(self._every, wall)
            self._counts.clear()
        return wall

    def of(self, key: str) -> Count:
        count = self._counts.get(key)
        if count is None:
            if len(self._counts) >= KEYS:
                self._forget()
            count = self._counts[key] = Count()
        if count.version != self._elsewhere.version:
            count.version = self._elsewhere.version
            count.elsewhere = self._elsewhere.used(self._limit, self.period.name, key)
            count.heard = count.here
        return count

    @property
    def over(self) -> bool:
        """Whether nothing was counted in this period."""
        return not self._counts or self._wall() >= self.period.end

    def _forget(self) -> None:
        least = sorted(self._counts, key=lambda key: self._counts[key].here)
        for key in least[: KEYS // 10]:
            del self._counts[key]

    def __len__(self) -> int:
        return len(self._counts)


class Budgets(Known):
    """One budget by key; `share` is the part of what is left that this process may use."""

    __slots__ = ("_amount", "_counts", "_share")

    def __init__(self, amount: float, counts: Counts, share: float = 1.0) -> None:
        self._amount = amount
        self._counts = counts
        self._share = share

    def wait(self, key: str, amount: float, now: float) -> float:
        if amount > self._amount:
            return NEVER
        wall = self._counts.now()
        count = self._counts.of(key)
        left = self._amount - count.elsewhere - count.heard
        since = count.here - count.heard
        # Its share, or once the whole of what is left: a share may be too small for any request.
        room = left * self._share - since if since else left
        if amount <= room and room > 0:
            return 0.0
        return self._counts.period.end - wall

    def take(self, key: str, amount: float, now: float) -> float:
        self._counts.now()
        count = self._counts.of(key)
        count.here += amount
        return self._amount - count.elsewhere - count.here

    def settle(self, key: str, taken: float, used: float, at: float, now: float) -> None:
        wall = self._counts.now()
        # Who was admitted before the period began took nothing of it.
        if used != taken and wall - (now - at) >= self._counts.period.start:
            count = self._counts.of(key)
            count.here = max(0.0, count.here + used - taken)

    def left(self, key: str, now: float) -> float:
        self._counts.now()
        count = self._counts.of(key)
        return self._amount - count.elsewhere - count.here

    def idle(self, now: float) -> bool:
        return self._counts.over
