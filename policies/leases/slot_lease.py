"""The slots that one holder has of a limit of concurrency: plain, synchronous.

How many there are is told anew each time rather than what has changed, so that no lost answer can
lose one. There is no credit: a slot that isn't leased is asked for.
"""

from typing import ClassVar

from policies.leases.lease import QUIET_SECONDS, RENEW_SECONDS
from policies.leases.terms import LEASE_SECONDS, Ask, Grant, Terms
from policies.limits.allowance import ASK

WAIT = 1.0  # seconds that clients are told; when a request ends is not known
REFUSED_SECONDS = LEASE_SECONDS  # that it is remembered that all slots are taken


class SlotLease:
    """`used` of `held` slots are taken; there are no others to ask for in advance."""

    balance: ClassVar[float] = 0.0
    low: ClassVar[float] = 0.0
    __slots__ = (
        "_free",
        "_full_until",
        "_most",
        "_told",
        "_told_at",
        "_touched",
        "_waiting",
        "held",
        "live",
        "name",
        "terms",
        "used",
    )

    def __init__(self, name: str, terms: Terms, *, now: float) -> None:
        self.name = name
        self.terms = terms
        self.held = 0.0
        self.used = 0.0
        self.live = False
        self._waiting = 0.0
        self._most = 0.0  # in use at once since the last exchange
        self._free: float | None = None  # with the ledger
        self._full_until = now
        self._told = 0.0
        self._told_at = now
        self._touched = now

    def __repr__(self) -> str:
        return f"<SlotLease {self.name} {self.used:g} of {self.held:g}>"

    def wait(self, amount: float, now: float, holders: int) -> float:
        if self.used + amount <= self.held:
            return 0.0
        return WAIT if now < self._full_until else ASK

    def take(self, amount: float, now: float) -> float:
        self.used += amount
        self._most = max(self._most, self.used)
        self._touched = now
        return self.left(now)

    def settle(self, taken: float, used: float, at: float, now: float) -> None:
        self.used = max(0.0, self.used - taken + used)
        self._touched = now

    def left(self, now: float) -> float:
        free = self.terms.size - self.held if self._free is None else self._free
        return free + self.held - self.used

    def need(self, amount: float) -> None:
        self._waiting += amount

    def ask(self, now: float, *, stand_in: bool) -> Ask | None:
        held = max(self.used, min(self.held, self._most))
        self._most = self.used
        renews = held and now - self._told_at >= RENEW_SECONDS
        if not (self._waiting or renews or held != self._told):
            return None
        need = max(0.0, self.used + self._waiting - held)
        self.held = held
        self._waiting = 0.0
        self._told_at = now
        return Ask(self.name, self.terms, need=need, held=held)

    def granted(self, ask: Ask, grant: Grant, now: float, holders: int) -> float:
        self.held += grant.granted
        self._told = ask.held + grant.granted
        self._free = grant.left
        if grant.granted < ask.need:
            self._full_until = now + REFUSED_SECONDS
        return 0.0  # is over-admitted: there is no credit

    def stood_in(self, ask: Ask, grant: Grant, now: float, holders: int) -> None:
        self.granted(ask, grant, now, holders)

    def retire(self) -> None:
        """Keeps no slot that is free."""
        self._most = 0.0

    def quiet(self, now: float) -> bool:
        return now - self._touched > QUIET_SECONDS and not (self.used or self.held or self._told)

    def forgettable(self, now: float, *, many: bool) -> bool:
        return True
