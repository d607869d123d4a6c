"""What this process has used of budgets, until it is written."""

from collections.abc import Callable
from typing import NamedTuple

from gateway.store.budgets import Spent
from policies.limits.allowance import LimitId
from policies.limits.calendar import Every, Period, period

KEYS = 100_000  # of all budgets and periods; then it is counted from nothing, under another number


class _Place(NamedTuple):
    limit: str
    period: Period
    key: str


class Spending:
    """`clock` is monotonic, `wall` Unix time, in seconds."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._number = 1
        self._used: dict[_Place, float] = {}
        self._changed: set[_Place] = set()
        self._periods: dict[Every, Period] = {}

    def add(self, limit_id: LimitId, every: Every, key: str, used: float, at: float) -> None:
        """So much of a budget was used by who was admitted at `at` of the clock."""
        wall = self._wall() - (self._clock() - at)
        found = self._periods.get(every)
        if found is None or not found.start <= wall < found.end:
            found = self._periods[every] = period(every, wall)
        place = _Place(str(limit_id), found, key)
        self._used[place] = self._used.get(place, 0.0) + used
        self._changed.add(place)

    def changed(self, most: int) -> list[tuple[int, Spent]]:
        """All that was used in each period, where that is more than when it was told; up to so
        many, the others with the next call.

        The number tells apart counts of the same budget and key, which add up.
        """
        found: list[tuple[int, Spent]] = []
        while self._changed and len(found) < most:
            place = self._changed.pop()
            limit, period_, key = place
            spent = Spent(limit, period_.name, key, self._used[place], period_.end)
            found.append((self._number, spent))
        if not self._changed and len(self._used) >= KEYS:
            self._number += 1
            self._used.clear()
        return found
