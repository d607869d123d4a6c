"""What this process has counted of what tenants use, by day, tenant and model."""

from collections.abc import Callable, Collection
from itertools import islice

from gateway.usage.value import UNITS, Usage
from policies.limits.calendar import Period, period
from protos.values import Timeline

PAIRS = 10_000  # of a tenant and a model in a day; beyond that tenants are "other"
OTHER = "other"
_NONE = Period("", 0.0, 0.0)


class _Count:
    __slots__ = (
        "changed",
        "completion_tokens",
        "device_seconds",
        "prompt_tokens",
        "requests",
        "rows",
    )

    def __init__(self) -> None:
        self.requests = self.rows = self.prompt_tokens = self.completion_tokens = 0
        self.device_seconds = 0.0
        self.changed = True

    def add(self, other: "_Count") -> None:
        self.requests += other.requests
        self.rows += other.rows
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.device_seconds += other.device_seconds


Counts = dict[tuple[str, str], _Count]  # by tenant and model


class UsageBook:
    """`wall` gives Unix time; `shown` are the tenants that metrics name, others are "other"."""

    def __init__(self, wall: Callable[[], float], shown: Collection[str] = ()) -> None:
        self._wall = wall
        self._shown = frozenset(shown)
        self._day = _NONE
        self._number = 0  # of the day: should the clock go back, the same day is another one
        self._today: Counts = {}
        self._unsaid: list[tuple[int, str, Counts]] = []  # days that are over
        self._before: Counts = {}  # all of these together, as metrics show them

    def add(self, tenant: str, model: str, timeline: Timeline) -> None:
        """Counts a request that was executed, or answered from what was kept."""
        wall = self._wall()
        if not self._day.start <= wall < self._day.end:
            self._begin(period("day", wall))
        count = self._today.get((tenant, model))
        if count is None:
            if len(self._today) >= PAIRS:
                tenant = OTHER
            count = self._today.setdefault((tenant, model), _Count())
        used = timeline.used
        count.requests += 1
        count.rows += timeline.rows
        count.prompt_tokens += used.prompt_tokens
        count.completion_tokens += used.completion_tokens
        count.device_seconds += used.device_seconds
        count.changed = True

    def changed(self, most: int) -> list[tuple[int, Usage]]:
        """What was counted in all of each day, where that is more than when it was told; up to so
        many, the others with the next call.

        The number tells apart counts of the same day, which add up.
        """
        found: list[tuple[int, Usage]] = []
        while self._unsaid:
            found += _changed(*self._unsaid[0], most - len(found))
            if len(found) >= most:
                return found
            del self._unsaid[0]
        return found + _changed(self._number, self._day.name, self._today, most - len(found))

    def shown(self) -> dict[tuple[str, str], dict[str, float]]:
        """All since the start by tenant and model, as metrics show it."""
        sums: Counts = {}
        for key, count in self._before.items():
            sums.setdefault(key, _Count()).add(count)
        _fold(sums, self._today, self._shown)
        return {key: {unit: getattr(count, unit) for unit in UNITS} for key, count in sums.items()}

    def _begin(self, day: Period) -> None:
        if self._today:
            self._unsaid.append((self._number, self._day.name, self._today))
            _fold(self._before, self._today, self._shown)
        self._day, self._today = day, {}
        self._number += 1


def _fold(sums: Counts, counts: Counts, shown: frozenset[str]) -> None:
    for (tenant, model), count in counts.items():
        label = tenant if tenant in shown else OTHER
        sums.setdefault((label, model), _Count()).add(count)


def _changed(number: int, day: str, counts: Counts, most: int) -> list[tuple[int, Usage]]:
    changed = ((key, count) for key, count in counts.items() if count.changed)
    found = []
    for (tenant, model), count in islice(changed, most):
        count.changed = False
        numbers = {unit: getattr(count, unit) for unit in UNITS}
        found.append((number, Usage(day, tenant, model, **numbers)))
    return found
