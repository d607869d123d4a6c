"""What may still be taken of a limit: the seam between who decides and where it is counted.

`policies/limits/filter.py` asks allowances and knows nothing of shares, leases or stores. Those of
one process are made by `local.py`; whoever counts for many processes implements `Allowance` and
gives the filter another `Make`.
"""

from collections.abc import Callable
from math import inf
from typing import NamedTuple, Protocol

from protos.route.policies import Limit

NEVER = inf  # a wait that no time ends
ASK = -1.0  # not known here: `Allowance.ask` finds out


class LimitId(NamedTuple):
    """Which limit it is; equal in all processes and after restarts, whatever changes beside it.

    `what` is such as `tenant/requests/5f2a…`, with a digest of the rate and the burst, or
    `tenant/tokens/month`, without one: what has been used of a budget is the same whatever the
    budget is raised to. `twin` numbers a route's limits that are alike otherwise, from 0.
    """

    route: str
    what: str
    twin: int

    @property
    def per(self) -> str:
        """Whose keys they are: tenant, key, model or route."""
        return self.what.partition("/")[0]

    def __str__(self) -> str:
        return f"{self.route}/{self.what}/{self.twin}"


class Allowance(Protocol):
    """One limit for all of its keys (a tenant, a key, a model, or "" for the route).

    Amounts are in what the limit counts: requests, rows, tokens, device-seconds, or requests under
    way. `now` is in seconds of a monotonic clock, the same for all calls, and never goes back.
    Nothing here waits or raises, but for `ask`, which waits.

    The filter calls `wait` for all limits of a request; if all are 0 it calls `take` for each, in
    the same turn of the event loop, so that nobody comes between the two. Where it can only be
    known afterwards what was used (tokens, device-seconds, concurrency, budgets), `settle` follows
    exactly once for each `take`, however the request ends; for rates of requests and rows it never
    does.
    """

    def wait(self, key: str, amount: float, now: float) -> float:
        """Seconds until `amount` can be taken: 0 if it can be now, `NEVER` if it never can.

        `ASK` if that isn't known here: `ask` is awaited, and then the answer is another. An amount
        of 0 can be taken where something is left.
        """

    def take(self, key: str, amount: float, now: float) -> float:
        """Takes it, also what isn't there (into debt); what is then left of the whole limit.

        That is told to clients: as far as it is known here, not only this process's share.
        """

    def settle(self, key: str, taken: float, used: float, at: float, now: float) -> None:
        """Of what was taken at the time `at` so much was used in the end, or more than that.

        A slot of concurrency is never used up: it is settled with 0 when the request has ended.
        """

    def left(self, key: str, now: float) -> float:
        """What can be taken of the whole limit, as far as it is known here; below 0 in debt."""

    def idle(self, now: float) -> bool:
        """Whether a new one would answer the same: then this one may be forgotten."""

    async def ask(self, key: str, amount: float) -> None:
        """Finds out what `wait` didn't know; in half a second at most, and without raising."""


class Known:
    """For allowances that always know."""

    __slots__ = ()

    async def ask(self, key: str, amount: float) -> None:
        return None


Make = Callable[[LimitId, Limit], Allowance]
