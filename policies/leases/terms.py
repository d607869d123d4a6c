"""What holders of a shared limit and its ledger tell each other.

A holder is a process that admits requests. It leases what it is about to admit from a ledger, so
that a request seldom waits for one. All times are in seconds.
"""

from typing import Literal, NamedTuple

from protos.route.policies import Limit

# What a holder may have in advance, and what it may spend before it has said so: as much as a limit
# yields in this time, divided by those who use it.
LEASE_SECONDS = 0.1
# The same for budgets, which yield nothing: this part of what is left.
LEASE_PART = 0.01
# A holder that hasn't been heard of for so long counts no more among those who share a limit.
ACTIVE_SECONDS = 1.5
# What a holder has that hasn't been heard of for so long is out no more: it ended with the holder.
OUT_SECONDS = 5.0
ROUNDING = 1e-6  # of amounts; sums of times are not exact

Kind = Literal["rate", "day", "month", "slots"]


class Terms(NamedTuple):
    """A limit as a ledger keeps it.

    A `rate` is a token bucket of `size` that fills with `rate` tokens a second; of a calendar `day`
    or `month` (UTC) `size` is the budget; of `slots` there are `size`, whole ones.
    """

    kind: Kind
    size: float
    rate: float = 0.0

    def over(self, holders: int) -> "Terms":
        """One holder's share where nobody can be asked; with room for one request at least."""
        size = max(1.0, self.size / holders)
        return Terms(
            self.kind, float(int(size)) if self.kind == "slots" else size, self.rate / holders
        )


class Ask(NamedTuple):
    """What a holder has to say of one bucket, budget or set of slots, which has a `name`.

    `charge` is what it has used since it last said so. What it has otherwise is told as it is:
    `held` in advance, of slots all that it has, and `reserved` by requests that will tell what they
    used. `need` is for requests that wait, `want` is what it would like to have in advance. `grain`
    is the size of a request: less is of no use. Of a budget `used` is known from elsewhere, at
    least. `at_once`: what a rate grants of the need counts as used, not as held.
    """

    name: str
    terms: Terms
    charge: float = 0.0
    need: float = 0.0
    want: float = 0.0
    held: float = 0.0
    reserved: float = 0.0
    grain: float = 1.0
    used: float = 0.0
    at_once: bool = False

    def spent(self, granted: float) -> float:
        """What of a grant is used as soon as it is there."""
        return min(granted, self.need) if self.at_once else 0.0


class Grant(NamedTuple):
    """The answer to an `Ask`.

    `left` is what nobody has leased, reserved or used, below 0 if that is more than there is; `cap`
    is what this holder may have in advance. A budget begins anew in `reset` seconds; 0 for others.
    """

    granted: float
    left: float
    cap: float
    reset: float = 0.0


class Answer(NamedTuple):
    """The answers to a batch, in its order; `holders` have been heard of lately."""

    holders: int
    grants: tuple[Grant, ...]


def terms_of(limit: Limit) -> Terms:
    """The limit as a ledger keeps it."""
    if limit.concurrency is not None:
        return Terms("slots", float(limit.concurrency))
    if limit.budget is not None:
        budget = limit.budget
        amounts = (budget.requests, budget.rows, budget.tokens, budget.device_seconds)
        return Terms(budget.every, float(sum(each or 0 for each in amounts)))
    rate = limit.requests or limit.rows or limit.tokens
    if rate is None:
        raise ValueError("a limit has one of requests, tokens, rows, concurrency and budget")
    return Terms("rate", float(limit.burst or max(1.0, rate.amount)), rate.per_second)
