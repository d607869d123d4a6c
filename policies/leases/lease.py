"""What one holder has of one bucket or budget, and what it knows of the rest: plain, synchronous.

Requests are admitted from a balance that was leased before. It may go below 0, into credit that is
reported with the next exchange; credits of all holders together are one lease. What is neither
leased nor on credit is asked for (`ASK`); that there is nothing is remembered until there may be.

What requests take that tell later what they used is reserved until then: nobody else can have it.
"""

from math import inf

from policies.leases.arrears import Arrears
from policies.leases.demand import SMALLEST_GRAIN, Demand
from policies.leases.terms import LEASE_PART, LEASE_SECONDS, ROUNDING, Ask, Grant, Terms
from policies.limits.allowance import ASK

LOW = 0.25  # of a lease is left when more is asked for, without waiting for the next exchange
REFUSED_SECONDS = 1.5 * LEASE_SECONDS  # that an empty bucket is remembered, at least
RECHECK_SECONDS = 1.0  # and at most, where what was reserved may be given back
SHORTEST_WAIT = 0.001  # seconds; 0 would mean that it can be taken now
RENEW_SECONDS = 1.0  # what is out is told so often, or it would be taken for lost
QUIET_SECONDS = 0.5  # after which a lease is no longer looked at with every exchange
MOST_USED = 2.0  # buckets that one request is charged; a ledger's debt ends before


def overdraft(terms: Terms) -> float:
    """What all holders together may have on credit of a limit that fills: one lease."""
    return min(terms.rate * LEASE_SECONDS, terms.size / 2)


class Lease:
    """`settled`: what is taken is only reserved, until `settle` tells what was used."""

    __slots__ = (
        "_arrears",
        "_began",
        "_cap",
        "_demand",
        "_known_at",
        "_left",
        "_pending",
        "_reserved",
        "_resets_at",
        "_settled",
        "_smallest",
        "_told",
        "_told_at",
        "_touched",
        "_unsettled",
        "_used",
        "_waits_for",
        "balance",
        "live",
        "low",
        "name",
        "terms",
    )

    def __init__(self, name: str, terms: Terms, *, settled: bool, holders: int, now: float) -> None:
        self.name = name
        self.terms = terms
        self.balance = 0.0
        self.live = False  # whether its lessee looks at it with every exchange
        self._settled = settled
        self._reserved = 0.0
        self._unsettled = 0  # requests
        self._used = 0.0  # and not yet told
        self._touched = now
        self._waits_for = 0.0  # what waiting requests need
        self._smallest = inf  # of them
        self._pending = 0.0  # credit that was told and is not yet answered
        self._told = (0.0, 0.0)  # what the ledger believes that is held here, and reserved
        self._arrears = Arrears()
        self._left: float | None = None  # with the ledger at `_known_at`; None if not known
        self._known_at = self._told_at = now
        self._cap = inf
        self._began, self._resets_at = -inf, inf  # of the period that is counted
        self._demand = Demand(now)
        # With less than that, more is asked for before the next exchange would come anyway.
        self.low = -self._credit(None, holders) / 2

    def __repr__(self) -> str:
        return f"<Lease {self.name} {self.balance:g}, left {self._left}>"

    def wait(self, amount: float, now: float, holders: int) -> float:
        """As `Allowance.wait`."""
        if amount <= self.balance and self.balance > 0.0:
            return 0.0
        if now >= self._resets_at:
            self._begin_period(now)
        amount = min(amount, self.terms.size)  # more is taken from a full bucket, into debt
        own = self.balance - self._pending
        left = self._left
        if left is not None:
            age = now - self._known_at
            most = own + self._at_most(left, age)
            if most + ROUNDING < amount or most <= 0.0:
                # Of what was reserved, something may come back before the bucket has filled.
                if self._settled and age >= RECHECK_SECONDS:
                    return ASK
                self._demand.wished += amount
                return self._until(amount - own - left, age, now)
        room = own + self._credit(left, holders)
        return 0.0 if amount <= room and room > 0.0 else ASK

    def take(self, amount: float, now: float) -> float:
        """As `Allowance.take`."""
        if self.terms.rate and amount > self.terms.size:
            amount = self.terms.size  # from a full bucket; `settle` tells of the rest
        self.balance -= amount
        demand = self._demand
        demand.wished += amount
        demand.taken += amount
        demand.takes += 1
        self._touched = now
        if self._settled:
            self._reserved += amount
            self._unsettled += 1
        else:
            self._used += amount
        return self.left(now)

    def settle(self, taken: float, used: float, at: float, now: float) -> None:
        """As `Allowance.settle`; what was taken in a period that is over counts no more."""
        self._touched = now
        self._unsettled -= 1
        if at >= self._began:
            if self.terms.rate:
                size = self.terms.size
                taken, used = min(taken, size), min(used, MOST_USED * size)
            self._reserved = max(0.0, self._reserved - taken)
            self._used += used
            self.balance += taken - used
            self._demand.wished = max(0.0, self._demand.wished + used - taken)
        if self._unsettled <= 0:
            self._unsettled, self._reserved = 0, 0.0  # sums of fractions may leave a rest

    def left(self, now: float) -> float:
        """As `Allowance.left`: the ledger's, as far as it is known, and what is leased."""
        terms, left = self.terms, self._left
        most = terms.size - self._reserved
        left = terms.size if left is None else left + (now - self._known_at) * terms.rate
        left += self.balance - self._pending
        return left if left < most else most

    def need(self, amount: float) -> None:
        """A request waits for so much."""
        amount = min(amount, self.terms.size)
        self._waits_for += amount
        self._smallest = min(self._smallest, amount)

    def ask(self, now: float, *, stand_in: bool) -> Ask | None:
        """What is to be said to the ledger now, or to its stand-in; None if there is nothing."""
        if now >= self._resets_at:
            self._begin_period(now)
        demand = self._demand
        want = demand.want(self.terms.rate, now)
        asked = self._smallest < inf
        surplus = 0.0 if asked else max(0.0, self.balance - min(want, self._cap))
        if want and surplus < demand.grain:
            surplus = 0.0  # goes with the next request
        held = max(0.0, self.balance - surplus)
        charge = self._used + (0.0 if stand_in else self._arrears.amount(self.terms.rate, now))
        reserved, at_once = self._reserved, not self._settled
        renews = (held or reserved) and now - self._told_at >= RENEW_SECONDS
        news = charge or self._told != (held, reserved)
        if not (asked or news or renews or want > held):
            return None
        need = max(0.0, self._waits_for - held)
        grain = max(SMALLEST_GRAIN, min(demand.grain, self._smallest - held))
        self.balance, self._pending = held, max(0.0, -self.balance)
        self._used = 0.0
        if not stand_in:
            self._arrears.clear()
        self._told_at = now
        self._waits_for, self._smallest = 0.0, inf
        return Ask(
            self.name, self.terms, charge, need, want, held, reserved, grain, at_once=at_once
        )

    def granted(self, ask: Ask, grant: Grant, now: float, holders: int) -> float:
        """The ledger's answer. How much was admitted on credit and turned out not to be there."""
        over = max(0.0, min(self._pending, -grant.left - grant.granted))
        self._pending = 0.0
        spent = ask.spent(grant.granted)
        self._used -= spent  # counts as used with the ledger, and is taken now
        self._told = (ask.held + grant.granted - spent, ask.reserved)
        self.balance += grant.granted
        self._left, self._known_at = grant.left, now
        if ask.want:
            self._cap = grant.cap
        self._resets_at = now + grant.reset if grant.reset else inf
        self.low = self._when_low(grant, holders)
        return over

    def stood_in(self, ask: Ask, grant: Grant, now: float, holders: int) -> None:
        """A stand-in's answer, as the ledger's didn't come.

        The ledger is told later what was used meanwhile. What it may have heard already is told
        again, which is never too little.
        """
        spent = ask.spent(grant.granted)
        self._arrears.add(ask.charge + spent, self.terms.rate / holders, now)
        self.granted(ask, grant, now, holders)

    def retire(self) -> None:
        """Wants nothing more."""
        self._demand.end()

    def quiet(self, now: float) -> bool:
        """Whether nothing is left to say, and nothing was taken for some time."""
        if now - self._touched <= QUIET_SECONDS or self._told != (0.0, 0.0):
            return False
        unsaid = self.balance or self._reserved or self._used or self._pending
        return not (unsaid or self._arrears.amount(self.terms.rate, now))

    def forgettable(self, now: float, *, many: bool) -> bool:
        """Whether nobody could tell it from a new one; of `many` those that nobody uses."""
        if self._unsettled or many:  # who is told of a day that is over must know that it is
            return not self._unsettled
        if self._left is None or not self.terms.rate:
            return self._left is None or now >= self._resets_at
        return self._left + (now - self._known_at) * self.terms.rate >= self.terms.size

    def _when_low(self, grant: Grant, holders: int) -> float:
        size, rate = self.terms.size, self.terms.rate
        if size < rate * LEASE_SECONDS:  # and so is full before the next exchange is due
            return -self._credit(grant.left, holders) / 2
        # Where there is nothing, asking more often brings no more.
        more = grant.left >= self._demand.grain and self.balance > 0.0
        return self.balance * LOW if more else -inf

    def _credit(self, left: float | None, holders: int) -> float:
        if self.terms.rate:
            return overdraft(self.terms) / holders
        return 0.0 if left is None else left * LEASE_PART / holders

    def _at_most(self, left: float, age: float) -> float:
        """What the ledger may have by now; not refilled while the next exchange is due anyway."""
        size, rate = self.terms.size, self.terms.rate
        if not rate or age < min(REFUSED_SECONDS, size / rate / 2):
            return left
        return min(size, left + age * rate)

    def _until(self, lacking: float, age: float, now: float) -> float:
        rate = self.terms.rate
        seconds = lacking / rate - age if rate else self._resets_at - now
        return max(SHORTEST_WAIT, seconds)

    def _begin_period(self, now: float) -> None:
        """What was leased, reserved and used of a budget's last day or month ends with it."""
        self._left, self._resets_at, self._began = None, inf, now
        self._arrears.clear()
        self._pending = self._used = self._reserved = self.balance = 0.0
