"""What clients are told of a limit, as draft-ietf-httpapi-ratelimit-headers has it.

A quota is so much in a window of whole seconds, and never less than what may come at once, since
clients take the rest for a part of the quota. So a burst greater than one period's amount is told
as the quota of the time that it takes to fill up again.
"""

from collections.abc import Callable
from math import ceil

from policies.limits.amounts import burst, rate_of, unit
from policies.limits.calendar import Every, period
from protos.route.policies import Limit
from protos.timeline import Quota

_ROUNDING = 1e-3  # of what is left; sums of times are not exact


class Quotas:
    """One limit's, as it is left; `wall` gives Unix time."""

    __slots__ = ("_burst", "_every", "_limit", "_policy", "_rate", "_until", "_wall", "_window")

    def __init__(self, limit: Limit, wall: Callable[[], float]) -> None:
        self._policy = f"{unit(limit)}-per-{limit.per}"
        self._burst = burst(limit)
        self._wall = wall
        self._every: Every | None = None if limit.budget is None else limit.budget.every
        self._until = 0.0
        self._limit, self._window = int(self._burst), 0
        self._rate = 0.0
        if limit.concurrency is None and limit.budget is None:
            rate = rate_of(limit)
            self._rate = rate.per_second
            amount, seconds = rate.amount, rate.period
            if self._burst > amount:
                amount, seconds = self._burst, self._burst / rate.per_second
            self._window = max(1, ceil(seconds - 1e-9))
            self._limit = max(1, int(amount if seconds >= 1 else rate.per_second))

    def at(self, left: float, wait: float = 0.0) -> Quota:
        """With so much left; `wait` is what a refused request has to, in seconds."""
        remaining = int(left + _ROUNDING) if left > 0 else 0
        if self._every is not None:
            wall = self._wall()
            if wall >= self._until:
                _, start, self._until = period(self._every, wall)
                self._window = int(self._until - start)
            wait = wait or self._until - wall
        elif not wait and self._rate:
            wait = (self._burst - left) / self._rate  # until the bucket is full
        return Quota(self._policy, self._limit, self._window, remaining, wait)
