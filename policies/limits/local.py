"""Allowances of one process, which admits its share of each limit."""

from collections.abc import Callable
from math import floor
from weakref import WeakValueDictionary

from policies.limits.allowance import Allowance, LimitId
from policies.limits.amounts import burst, rate_of
from policies.limits.buckets import Buckets, HoldingBuckets
from policies.limits.budgets import Budgets, Counts, Elsewhere
from policies.limits.slots import Slots
from protos.route.policies import Limit


class Local:
    """`share` is the part of every limit that is admitted here, `wall` gives Unix time.

    A bucket has room for one request at least, and so have slots. `elsewhere` is told what other
    processes have used of budgets.
    """

    def __init__(self, share: float, wall: Callable[[], float]) -> None:
        self._share = share
        self._wall = wall
        self.elsewhere = Elsewhere()
        # As long as an allowance refers to them: budgets whose amount was changed share them.
        self._counts: WeakValueDictionary[LimitId, Counts] = WeakValueDictionary()

    def __call__(self, limit_id: LimitId, limit: Limit) -> Allowance:
        share = self._share
        if limit.concurrency is not None:
            return Slots(max(1, floor(limit.concurrency * share + 1e-9)), share)
        if limit.budget is not None:
            counts = self._counts.get(limit_id)
            if counts is None:
                counts = Counts(str(limit_id), limit.budget.every, self._wall, self.elsewhere)
                self._counts[limit_id] = counts
            return Budgets(burst(limit), counts, share)
        rate, size = rate_of(limit).per_second * share, max(1.0, burst(limit) * share)
        return (Buckets if limit.tokens is None else HoldingBuckets)(rate, size, share)
