"""Allowances of one process, which counts alone."""

from collections.abc import Callable
from weakref import WeakValueDictionary

from policies.limits.allowance import Allowance, LimitId
from policies.limits.amounts import burst, rate_of
from policies.limits.buckets import Buckets, HoldingBuckets
from policies.limits.budgets import Budgets, Counts
from policies.limits.elsewhere import Elsewhere
from policies.limits.slots import Slots, UnderWay
from protos.route.policies import Limit


class Local:
    """`wall` gives Unix time; `elsewhere` is told what else was used of budgets."""

    def __init__(self, wall: Callable[[], float], elsewhere: Elsewhere | None = None) -> None:
        self._wall = wall
        self._elsewhere = elsewhere or Elsewhere()
        # As long as an allowance refers to them: those whose amount was changed share them.
        self._counts: WeakValueDictionary[LimitId, Counts] = WeakValueDictionary()
        self._under_way: WeakValueDictionary[LimitId, UnderWay] = WeakValueDictionary()

    def __call__(self, limit_id: LimitId, limit: Limit) -> Allowance:
        if limit.concurrency is not None:
            under_way = self._under_way.get(limit_id)
            if under_way is None:
                under_way = self._under_way[limit_id] = UnderWay()
            return Slots(limit.concurrency, under_way)
        if limit.budget is not None:
            counts = self._counts.get(limit_id)
            if counts is None:
                counts = Counts(limit_id, limit.budget.every, self._wall, self._elsewhere)
                self._counts[limit_id] = counts
            return Budgets(burst(limit), counts)
        rate, size = rate_of(limit).per_second, burst(limit)
        return (Buckets if limit.tokens is None else HoldingBuckets)(rate, size)
