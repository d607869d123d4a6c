"""Budgets of a calendar day or month, counted by one process that knows of those before it.

What others have used of the same budgets, and this one before a restart, it is told from time to
time (`Elsewhere`). Processes that admit at the same time don't count so: they share a ledger.
"""

from collections.abc import Callable

from policies.limits.allowance import NEVER, Known, LimitId
from policies.limits.calendar import Every, Period, period
from policies.limits.elsewhere import Elsewhere

KEYS = 10_000  # of one budget; beyond that those who have used the least are looked up again
BACKWARDS = 3600.0  # seconds that the wall clock may go back without another period beginning
_NOTHING = Period("", 0.0, 0.0)


class _Count:
    """What one key has used: here, and elsewhere as of a version of what is known of that."""

    __slots__ = ("elsewhere", "here", "version")

    def __init__(self, here: float) -> None:
        self.here = here
        self.elsewhere = 0.0
        self.version = -1


class Counts:
    """What the keys of one budget have used in the period that `wall` (Unix time) is in.

    It outlives changes of the budget's amount. A key that is forgotten begins with what was written
    of it, or whoever can make up keys could give others their budgets back.
    """

    __slots__ = ("__weakref__", "_counts", "_elsewhere", "_every", "_limit_id", "_wall", "period")

    def __init__(
        self, limit_id: LimitId, every: Every, wall: Callable[[], float], elsewhere: Elsewhere
    ) -> None:
        self._limit_id = limit_id
        self._every: Every = every
        self._wall = wall
        self._elsewhere = elsewhere
        self.period = _NOTHING
        self._counts: dict[str, _Count] = {}

    def now(self) -> float:
        """Unix time; begins the next period when it has come."""
        wall = self._wall()
        if not self.period.start - BACKWARDS <= wall < self.period.end:
            self.period = period(self._every, wall)
            self._counts.clear()
        return wall

    def used(self, key: str) -> float:
        """By all, as far as it is known here."""
        count = self._counts.get(key)
        if count is None:  # and is none until something is used: refusals are not counted
            return self._elsewhere.used(self._limit_id, self.period.name, key)
        if count.version != self._elsewhere.version:
            count.version = self._elsewhere.version
            count.elsewhere = self._elsewhere.by_others(self._limit_id, self.period.name, key)
        return count.here + count.elsewhere

    def add(self, key: str, amount: float) -> None:
        count = self._counts.get(key)
        if count is None:
            if len(self._counts) >= KEYS:
                self._forget()
            written = self._elsewhere.by_itself(self._limit_id, self.period.name, key)
            count = self._counts[key] = _Count(written)
        count.here = max(0.0, count.here + amount)

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
    """One budget by key."""

    __slots__ = ("_amount", "_counts")

    def __init__(self, amount: float, counts: Counts) -> None:
        self._amount = amount
        self._counts = counts

    def wait(self, key: str, amount: float, now: float) -> float:
        if amount > self._amount:
            return NEVER
        wall = self._counts.now()
        left = self._amount - self._counts.used(key)
        if amount <= left and left > 0:
            return 0.0
        return self._counts.period.end - wall

    def take(self, key: str, amount: float, now: float) -> float:
        self._counts.now()
        self._counts.add(key, amount)
        return self._amount - self._counts.used(key)

    def settle(self, key: str, taken: float, used: float, at: float, now: float) -> None:
        wall = self._counts.now()
        # Who was admitted before the period began took nothing of it.
        if used != taken and wall - (now - at) >= self._counts.period.start:
            self._counts.add(key, used - taken)

    def left(self, key: str, now: float) -> float:
        self._counts.now()
        return self._amount - self._counts.used(key)

    def idle(self, now: float) -> bool:
        return self._counts.over
