"""What this process has counted of what tenants use, by day, tenant and model."""

from collections.abc import Callable, Collection
from itertools import islice

from gateway.usage.value import UNITS, Usage
from policies.limits.calendar import Period, period
from protos.timeline import Timeline

PAIRS = 10_000  # of a tenant and a model in a day; beyond that tenants are counted together
OTHERS = ""  # in records, those together; no tenant is called so
OTHER = "other"  # in metrics, whoever isn't to be shown; `usage.tenants` can't name one so
_NONE = Period("", 0.0, 0.0)

Pair = tuple[str, str]  # tenant and model


class _Sum:
    __slots__ = ("completion_tokens", "device_seconds", "prompt_tokens", "requests", "rows")

    def __init__(self) -> None:
        self.requests = self.rows = self.prompt_tokens = self.completion_tokens = 0
        self.device_seconds = 0.0

    def add(self, timeline: Timeline) -> None:
        used = timeline.used
        self.requests += 1
        self.rows += timeline.rows
        self.prompt_tokens += used.prompt_tokens
        self.completion_tokens += used.completion_tokens
        self.device_seconds += used.device_seconds

    def of(self, day: str, pair: Pair) -> Usage:
        return Usage(
            day,
            *pair,
            self.requests,
            self.rows,
            self.prompt_tokens,
            self.completion_tokens,
            self.device_seconds,
        )


class _Day:
    """One day's sums; `changed` are those that were not told as they are, in that order."""

    __slots__ = ("changed", "name", "number", "sums")

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.sums: dict[Pair, _Sum] = {}
        self.changed: dict[Pair, None] = {}

    def take(self, most: int) -> list[tuple[int, Usage]]:
        pairs = list(islice(self.changed, most))
        found = []
        for pair in pairs:
            del self.changed[pair]
            found.append((self.number, self.sums[pair].of(self.name, pair)))
        return found


class UsageBook:
    """`wall` gives Unix time; `shown` are the tenants that metrics name, others are "other"."""

    def __init__(self, wall: Callable[[], float], shown: Collection[str] = ()) -> None:
        self._wall = wall
        self._shown = frozenset(shown)
        self._period = _NONE
        self._today = _Day("", 0)
        self._before: list[_Day] = []  # that are over, and not told in all
        self._totals: dict[Pair, _Sum] = {}  # since the start, by what metrics call the tenant

    def add(self, tenant: str, model: str, timeline: Timeline) -> None:
        """Counts a request that was executed, or answered from what was kept."""
        wall = self._wall()
        if not self._period.start <= wall < self._period.end:
            self._begin(period("day", wall))
        label = (tenant if tenant in self._shown else OTHER, model)
        total = self._totals.get(label)
        if total is None:
            total = self._totals[label] = _Sum()
        total.add(timeline)
        today, pair = self._today, (tenant, model)
        found = today.sums.get(pair)
        if found is None:
            if len(today.sums) >= PAIRS:
                pair = (OTHERS, model)
            found = today.sums.setdefault(pair, _Sum())
        found.add(timeline)
        today.changed[pair] = None

    def changed(self, most: int) -> list[tuple[int, Usage]]:
        """What was counted in all of each day, where that is more than when it was told; up to so
        many, the others with the next call.

        The number tells apart counts of the same day, which add up: should the clock go back, the
        same day is another one.
        """
        found: list[tuple[int, Usage]] = []
        while self._before:
            found += self._before[0].take(most - len(found))
            if len(found) >= most:
                return found
            del self._before[0]
        return found + self._today.take(most - len(found))

    def shown(self) -> dict[Pair, dict[str, float]]:
        """All since the start by tenant and model, as metrics show it."""
        return {
            pair: {unit: getattr(total, unit) for unit in UNITS}
            for pair, total in self._totals.items()
        }

    def _begin(self, day: Period) -> None:
        if self._today.changed:
            self._before.append(self._today)
        self._period = day
        self._today = _Day(day.name, self._today.number + 1)
