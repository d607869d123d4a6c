"""What one holder has of one bucket or budget, and what it knows of the rest: plain, synchronous.

Requests are admitted from a balance that was leased before. It may go below 0, into credit that is
reported with the next exchange; credits of all holders together are one lease. What is neither
leased nor on credit is asked for (`ASK`); that there is nothing is remembered until there may be.

What requests take that tell later what they used is reserved: nobody else can have it, and it is
used only when they have told.
"""

from math import inf

from policies.leases.terms import LEASE_PART, LEASE_SECONDS, ROUNDING, Ask, Grant, Terms
from policies.limits.allowance import ASK

AHEAD = 1.5  # times what is used in a lease's time is leased, so that it seldom runs out
LOW = 0.25  # of it is left when more is asked for, without waiting for the next exchange
FADES = 0.7  # of its demand a key keeps for the next lease's time, if less is asked of it
REFUSED_SECONDS = 1.5 * LEASE_SECONDS  # that an empty bucket is remembered, at least
RECHECK_SECONDS = 1.0  # and at most, where what was reserved may be given back
SHORTEST_WAIT = 0.001  # seconds; 0 would mean that it can be taken now
RENEW_SECONDS = 1.0  # what is out is told so often, or it would be taken for lost
QUIET_SECONDS = 0.5  # after which a lease is no longer looked at with every exchange
MOST_DEBT = 2.0  # buckets that one request is charged; see `ledger.py` for all of them together
_SMALLEST_GRAIN = 1e-3


class Lease:
    """`settled`: what is taken is only reserved, until `settle` tells what was used."""

    __slots__ = (
        "_backed",
        "_began",
        "_cap",
        "_demand",
        "_grain",
        "_known_at",
        "_left",
        "_owed",
        "_owed_at",
        "_pending",
        "_reserved",
        "_resets_at",
        "_settled",
        "_since",
        "_smallest",
        "_taken",
        "_takes",
        "_told",
        "_told_at",
        "_touched",
        "_unsettled",
        "_used",
        "_waits_for",
        "_wished",
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
        # What the ledger believes that is held here, and reserved.
        self._told = self._backed = 0.0
        # What was used while a stand-in answered, as far as a bucket hasn't filled up since.
        self._owed, self._owed_at = 0.0, now
        self._left: float | None = None  # with the ledger at `_known_at`; None if not known
        self._known_at = self._told_at = now
        self._cap = inf
        self._began, self._resets_at = -inf, inf  # of the period that is counted
        # In a lease's time; what was wished, taken, and how often, since the last was over.
        self._demand = 0.0
        self._wished = self._taken = 0.0
        self._takes = 0
        self._since = now
        self._grain = 1.0  # the size of a request
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
                self._wished += amount
                return self._until(amount - own - left, age, now)
        room = own + self._credit(left, holders)
        return 0.0 if amount <= room and room > 0.0 else ASK

    def take(self, amount: float, now: float) -> float:
        """As `Allowance.take`."""
        if self.terms.rate and amount > self.terms.size:
            amount = self.terms.size  # from a full bucket; `settle` tells of the rest
        self.balance -= amount
        self._wished += amount
        self._taken += amount
        self._takes += 1
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
                taken, used = min(taken, size), min(used, MOST_DEBT * size)
            self._reserved = max(0.0, self._reserved - taken)
            self._used += used
            self.balance += taken - used
            self._wished = max(0.0, self._wished + used - taken)
        if self._unsettled <= 0:
            self._unsettled, self._reserved = 0, 0.0  # sums of fractions may leave a rest

    def left(self, now: float) -> float:
        """As `Allowance.left`: the ledger's, as far as it is known, and what is leased."""
        terms, left = self.terms, self._left
        most = terms.size - self._reserved
        own = self.balance - self._pending
        left = (
            terms.size + min(0.0, own)
            if left is None
            else (left + (now - self._known_at) * terms.rate + own)
        )
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
        if now - self._since >= 0.9 * LEASE_SECONDS:
            self._count(now)
        want = self._want()
        asked = self._smallest < inf
        surplus = 0.0 if asked else max(0.0, self.balance - min(want, self._cap))
        if want and surplus < self._grain:
            surplus = 0.0  # goes with the next request
        held = max(0.0, self.balance - surplus)
        charge = self._used + (0.0 if stand_in else self._still_owed(now, 1))
        reserved = self._reserved
        news = held != self._told or reserved != self._backed
        renews = (held or reserved) and now - self._told_at >= RENEW_SECONDS
        if not (asked or charge or news or renews or want > held):
            return None
        need = max(0.0, self._waits_for - held)
        grain = max(_SMALLEST_GRAIN, min(self._grain, self._smallest - held))
        self.balance, self._pending = held, max(0.0, -self.balance)
        self._used = 0.0
        if not stand_in:
            self._owed = 0.0
        self._told_at = now
        self._waits_for, self._smallest = 0.0, inf
        at_once = not self._settled
        return Ask(
            self.name, self.terms, charge, need, want, held, reserved, grain, at_once=at_once
        )

    def granted(self, ask: Ask, grant: Grant, now: float, holders: int) -> float:
        """The ledger's answer. How much was admitted on credit and turned out not to be there."""
        over = max(0.0, min(self._pending, -grant.left - grant.granted))
        self._pending = 0.0
        spent = ask.spent(grant.granted)
        self._used -= spent  # counts as used with the ledger, and is taken now
        self._told, self._backed = ask.held + grant.granted - spent, ask.reserved
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
        self._owed = max(0.0, self._still_owed(now, holders) + ask.charge + spent)
        self._owed_at = now
        self.granted(ask, grant, now, holders)

    def retire(self) -> None:
        """Wants nothing more."""
        self._demand = self._wished = 0.0

    def quiet(self, now: float) -> bool:
        """Whether nothing is left to say, and nothing was taken for some time."""
        if self.balance or self._reserved or self._used or self._told or self._backed:
            return False
        silent = now - self._touched > QUIET_SECONDS
        return silent and not (self._pending or self._still_owed(now, 1))

    def forgettable(self, now: float, *, many: bool) -> bool:
        """Whether nobody could tell it from a new one; of `many` those that nobody uses."""
        if self._unsettled:
            return False  # what is told of requests of a day that is over belongs to no new one
        if many or self._left is None or not self.terms.rate:
            return many or self._left is None or now >= self._resets_at
        return self._left + (now - self._known_at) * self.terms.rate >= self.terms.size

    def _when_low(self, grant: Grant, holders: int) -> float:
        size, rate = self.terms.size, self.terms.rate
        if size < rate * LEASE_SECONDS:  # and so is full before the next exchange is due
            return -self._credit(grant.left, holders) / 2
        # Where there is nothing, asking more often brings no more.
        more = grant.left >= self._grain and self.balance > 0.0
        return self.balance * LOW if more else -inf

    def _want(self) -> float:
        want = AHEAD * max(self._demand, self._wished)
        rate = self.terms.rate
        small = rate and rate * LEASE_SECONDS + ROUNDING < self._grain
        return 0.0 if small or want < self._grain else want

    def _credit(self, left: float | None, holders: int) -> float:
        size, rate = self.terms.size, self.terms.rate
        if rate:
            return min(rate * LEASE_SECONDS, size / 2) / holders
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

    def _still_owed(self, now: float, holders: int) -> float:
        """The bucket has filled up meanwhile, and this holder's share of that is not owed."""
        yielded = (now - self._owed_at) * self.terms.rate / holders
        return max(0.0, self._owed - yielded) if self._owed else 0.0

    def _count(self, now: float) -> None:
        lately = self._wished * LEASE_SECONDS / max(LEASE_SECONDS, now - self._since)
        self._demand = max(lately, FADES * self._demand)
        if self._takes:
            self._grain = max(_SMALLEST_GRAIN, self._taken / self._takes)
        self._wished = self._taken = 0.0
        self._takes, self._since = 0, now

    def _begin_period(self, now: float) -> None:
        """What was leased, reserved and used of a budget's last day or month ends with it."""
        self._left, self._resets_at, self._began = None, inf, now
        self._owed = self._pending = self._used = self._reserved = self.balance = 0.0
