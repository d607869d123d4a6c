"""What a ledger keeps of one limit and key: a bucket, a budget, or slots."""

from typing import Protocol

from policies.leases.periods import PERIOD_SECONDS, period_end
from policies.leases.terms import (
    ACTIVE_SECONDS,
    LEASE_PART,
    LEASE_SECONDS,
    OUT_SECONDS,
    ROUNDING,
    Ask,
    Grant,
    Terms,
)


class Record(Protocol):
    def answer(self, holder: str, ask: Ask, now: float, wall: float) -> Grant: ...

    def begin(self, terms: Terms, left: float) -> None: ...

    def unused(self, now: float, wall: float) -> bool: ...


class _Told:
    """What one holder said last: how much it wants, has leased, and has reserved."""

    __slots__ = ("at", "held", "reserved", "want")

    def __init__(self) -> None:
        self.want = self.held = self.reserved = self.at = 0.0


class _Holders:
    """Who was lately heard of a record."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def drop_silent(self, now: float) -> float:
        """Forgets who hasn't been heard of for some time; what those had leased."""
        silent = [holder for holder, told in self._told.items() if abs(now - told.at) > OUT_SECONDS]
        return sum(self._told.pop(holder).held for holder in silent)

    def tell(self, holder: str, ask: Ask, now: float) -> float:
        """Notes what it said; the part of all that is wanted that it wants, from 0 to 1."""
        told = self._told.setdefault(holder, _Told())
        told.want, told.held, told.reserved, told.at = ask.want, ask.held, ask.reserved, now
        if not ask.want:
            return 0.0
        return ask.want / sum(
            each.want for each in self._told.values() if abs(now - each.at) <= ACTIVE_SECONDS
        )

    def has(self, holder: str, held: float) -> None:
        self._told[holder].held = held

    @property
    def out(self) -> float:
        """What holders have that they haven't used yet, or not told of."""
        return sum(told.held + told.reserved for told in self._told.values())


class Bucket:
    """A token bucket; what holders have leased and reserved is in it until they have used it.

    Had it left at once, the bucket would fill up meanwhile, and what is then given back would be
    there twice.
    """

    __slots__ = ("_at", "_full_at", "_holders", "_level")

    def __init__(self, terms: Terms, now: float, wall: float) -> None:
        self._level = terms.size
        self._at = now
        self._full_at = now
        self._holders = _Holders()

    def begin(self, terms: Terms, left: float) -> None:
        self._level = left

    def answer(self, holder: str, ask: Ask, now: float, wall: float) -> Grant:
        size, rate = ask.terms.size, ask.terms.rate
        holders = self._holders
        level = self._level - holders.drop_silent(now)
        # A clock that is set back yields nothing, and goes on from there.
        yielded = max(0.0, now - self._at) * rate
        # What was leased may have been used at once, and left room; what was reserved hasn't been.
        room = size - level + (ask.charge if ask.at_once else 0.0)
        level += max(0.0, min(yielded, room))
        # No mistake of one request keeps all others out for longer than two buckets take to fill.
        level = min(size, max(-size, level - ask.charge))
        cap = rate * LEASE_SECONDS * holders.tell(holder, ask, now)
        free = level - holders.out
        granted = _grant(ask, free, cap)
        spent = ask.spent(granted)
        holders.has(holder, ask.held + granted - spent)
        self._level, self._at = level - spent, now
        self._full_at = now + (size - free + granted) / rate
        return Grant(granted, free - granted, cap)

    def unused(self, now: float, wall: float) -> bool:
        return now > self._full_at + OUT_SECONDS


class Counter:
    """A budget of the day or month that it was last asked for."""

    __slots__ = ("_end", "_holders", "_kind", "_used")

    def __init__(self, terms: Terms, now: float, wall: float) -> None:
        self._kind = terms.kind
        self._used = 0.0
        self._end = period_end(terms.kind, wall)
        self._holders = _Holders()

    def begin(self, terms: Terms, left: float) -> None:
        self._used = terms.size - left

    def answer(self, holder: str, ask: Ask, now: float, wall: float) -> Grant:
        holders = self._holders
        self._used += holders.drop_silent(now)
        end = period_end(self._kind, wall)
        if end > self._end:
            self._end, self._used = end, 0.0
        elif end < self._end - PERIOD_SECONDS[self._kind]:
            # The clock was far ahead, and is right again. Where it is only set back over the end
            # of a day, the day goes on: the budget would be there twice.
            self._end = end
        self._used = max(0.0, self._used + ask.charge, ask.used)
        share = holders.tell(holder, ask, now)
        free = ask.terms.size - self._used - holders.out
        cap = max(0.0, free) * LEASE_PART * share
        granted = _grant(ask, free, cap)
        holders.has(holder, ask.held + granted)
        return Grant(granted, free - granted, cap, self._end - wall)

    def unused(self, now: float, wall: float) -> bool:
        return wall > self._end


class Slots:
    __slots__ = ("_heard", "_holders")

    def __init__(self, terms: Terms, now: float, wall: float) -> None:
        self._holders = _Holders()
        self._heard = now

    def begin(self, terms: Terms, left: float) -> None:
        """Slots that are in use are told by those who use them."""

    def answer(self, holder: str, ask: Ask, now: float, wall: float) -> Grant:
        self._heard = now
        holders = self._holders
        holders.drop_silent(now)
        cap = float(int(ask.terms.size * holders.tell(holder, ask, now)))
        free = ask.terms.size - holders.out
        granted = float(int(_grant(ask, free, cap)))
        holders.has(holder, ask.held + granted)
        return Grant(granted, free - granted, cap)

    def unused(self, now: float, wall: float) -> bool:
        return abs(now - self._heard) > OUT_SECONDS


def _grant(ask: Ask, left: float, cap: float) -> float:
    """What waiting requests need, as far as it is there, and then something in advance."""
    if left + ROUNDING < ask.grain:
        return 0.0
    needed = min(ask.need, max(0.0, left))
    if cap + ROUNDING < ask.grain:
        return needed
    return needed + max(0.0, min(ask.want, cap, left - needed + ask.held) - ask.held)
