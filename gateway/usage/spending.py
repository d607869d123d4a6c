"""What this process has used of budgets, until it is written."""

from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from gateway.store.budgets import Spent
from policies.limits.allowance import LimitId
from policies.limits.calendar import Every, Period, period
from policies.limits.elsewhere import Called

KEYS = 20_000  # of all budgets and periods that are known at a time


class _Place(NamedTuple):
    limit: str
    period: Period
    key: str


class _Use:
    __slots__ = ("number", "used")

    def __init__(self, number: int) -> None:
        self.number = number
        self.used = 0.0


class Spending:
    """`clock` is monotonic, `wall` Unix time, in seconds; `called` names keys as records do.

    What was told is forgotten when there is no room for more, and counted from nothing when it is
    used again, under another number. Where nothing is taken off for so long that there is no room
    at all, new keys are not recorded; `dropped` counts how often.
    """

    def __init__(
        self, clock: Callable[[], float], wall: Callable[[], float], called: Called
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._called = called
        self._number = 1
        self._uses: dict[_Place, _Use] = {}
        self._changed: dict[_Place, None] = {}
        self._periods: dict[Every, Period] = {}
        self.dropped = 0

    def add(self, limit_id: LimitId, every: Every, key: str, used: float, at: float) -> None:
        """So much of a budget was used by who was admitted at `at` of the clock."""
        wall = self._wall() - (self._clock() - at)
        found = self._periods.get(every)
        if found is None or not found.start <= wall < found.end:
            found = self._periods[every] = period(every, wall)
        place = _Place(str(limit_id), found, self._called(limit_id, key))
        use = self._uses.get(place)
        if use is None:
            if len(self._uses) >= KEYS and not self._forget():
                self.dropped += 1
                return
            use = self._uses[place] = _Use(self._number)
        use.used += used
        self._changed[place] = None

    def changed(self, most: int) -> list[tuple[int, Spent]]:
        """All that was used in each period, where that is more than when it was told; up to so
        many, the others with the next call.

        The number tells apart counts of the same budget and key, which add up.
        """
        found: list[tuple[int, Spent]] = []
        for place in list(islice(self._changed, most)):
            del self._changed[place]
            use = self._uses[place]
            spent = Spent(place.limit, place.period.name, place.key, use.used, place.period.end)
            found.append((use.number, spent))
        return found

    def _forget(self) -> bool:
        """Forgets what was told; whether that made room."""
        if len(self._changed) > KEYS * 9 // 10:
            return False  # looking again for each new key would cost more than it brings
        self._uses = {place: self._uses[place] for place in self._changed}
        self._number += 1
        return True

    def __len__(self) -> int:
        return len(self._uses)
