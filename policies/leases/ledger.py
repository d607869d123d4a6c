"""What is left of shared limits, and who has leased what: plain, synchronous, without I/O.

The same rules stand in `script.py` for Redis. A ledger grants only what it has, so that what is
admitted from grants never exceeds a limit. What holders say they have used already is charged in
any case, if need be into debt, which later grants pay off: over-admission is at most what holders
may use before they say so. A grant whose answer gets lost is taken as used, and a holder that dies
takes its leases with it, until the bucket has filled up or the budget begins anew; slots that it
had are free again when it hasn't been heard of for some time.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from policies.leases.terms import (
    ACTIVE_SECONDS,
    LEASE_PART,
    LEASE_SECONDS,
    OUT_SECONDS,
    ROUNDING,
    Answer,
    Ask,
    Grant,
    Kind,
    Terms,
)

SWEEP = 4096  # records; from twice as many as were left last time on it is looked for unused ones


class Ledger:
    """Records by name. `now` is monotonic, `wall` the time of the calendar (Unix)."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self._holders: dict[str, float] = {}
        self._sweep_at = SWEEP

    def __repr__(self) -> str:
        return f"<Ledger {len(self._records)} records, {len(self._holders)} holders>"

    def __len__(self) -> int:
        return len(self._records)

    def exchange(self, holder: str, asks: Sequence[Ask], now: float, wall: float) -> Answer:
        """Answers a holder; no asks only say that it is there."""
        self._holders[holder] = now
        _drop_silent(self._holders, now, ACTIVE_SECONDS)
        grants = tuple(
            self._record(ask.name, ask.terms, now, wall).answer(holder, ask, now, wall)
            for ask in asks
        )
        if len(self._records) > self._sweep_at:
            self._sweep(now, wall)
        return Answer(len(self._holders), grants)

    def begin(self, name: str, terms: Terms, left: float, now: float, wall: float) -> None:
        """Has a record begin with so much left, where it isn't kept yet."""
        if name not in self._records:
            self._record(name, terms, now, wall).begin(terms, left)

    def _record(self, name: str, terms: Terms, now: float, wall: float) -> "_Record":
        record = self._records.get(name)
        if record is None:
            record = self._records[name] = _RECORDS[terms.kind](terms, now, wall)
        return record

    def _sweep(self, now: float, wall: float) -> None:
        """Forgets what a new record would be like."""
        self._records = {k: r for k, r in self._records.items() if not r.unused(now, wall)}
        self._sweep_at = max(SWEEP, 2 * len(self._records))


class _Record(Protocol):
    def answer(self, holder: str, ask: Ask, now: float, wall: float) -> Grant: ...

    def begin(self, terms: Terms, left: float) -> None: ...

    def unused(self, now: float, wall: float) -> bool: ...


class _Holders:
    """Who was lately heard of a record: how much each wants, and how much it has out."""

    __slots__ = ("_at", "_out", "_wants")

    def __init__(self) -> None:
        self._wants: dict[str, float] = {}
        self._out: dict[str, float] = {}
        self._at: dict[str, float] = {}

    def drop_silent(self, now: float) -> None:
        for holder in _drop_silent(self._at, now, OUT_SECONDS):
            del self._out[holder], self._wants[holder]

    def wants(self, holder: str, want: float, now: float) -> float:
        """Notes it; the part of all that is wanted that this holder wants, from 0 to 1."""
        self._wants[holder], self._at[holder] = want, now
        self._out.setdefault(holder, 0.0)
        all_ = sum(
            each
            for other, each in self._wants.items()
            if abs(now - self._at[other]) <= ACTIVE_SECONDS
        )
        return want / all_ if want else 0.0

    def has(self, holder: str, out: float) -> None:
        self._out[holder] = out

    @property
    def out(self) -> float:
        """What holders have that they haven't used yet, or not told of."""
        return sum(self._out.values())


class _Bucket:
    """A token bucket that holds what hasn't been leased; with what is out it is never overfull.

    Were leases and reservations forgotten while they are out, the bucket would fill up meanwhile,
    and what is then given back would be there twice.
    """

    __slots__ = ("_at", "_full_at", "_holders", "_level")

    def __init__(self, terms: Terms, now: float, wall: float) -> None:
        self._level = terms.size
        self._at = now
        self._full_at = now
        self._holders = _Holders()

    def begin(self, terms: Terms, left: float) -> None:
        self._level = min(terms.size, left)

    def answer(self, holder: str, ask: Ask, now: float, wall: float) -> Grant:
        size, rate = ask.terms.size, ask.terms.rate
        holders = self._holders
        holders.drop_silent(now)
        holders.has(holder, ask.held + ask.reserved)
        # A clock that is set back yields nothing, and goes on from there.
        yielded = max(0.0, now - self._at) * rate
        level = self._level + max(0.0, min(yielded, size - holders.out - self._level))
        level = min(size, level - ask.charge)
        cap = rate * LEASE_SECONDS * holders.wants(holder, ask.want, now)
        granted = _grant(ask, level, cap)
        # What was needed is used at once, or will be told of as reserved.
        holders.has(holder, ask.held + ask.reserved + max(0.0, granted - ask.need))
        self._level, self._at = level - granted, now
        self._full_at = now + (size - self._level) / rate
        return Grant(granted, self._level, cap)

    def unused(self, now: float, wall: float) -> bool:
        return now > self._full_at + OUT_SECONDS


class _Counter:
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
        end = period_end(self._kind, wall)
        # Not when a clock is set back over the end of a day: the budget would be there twice.
        if end > self._end:
            self._end, self._used = end, 0.0
        self._used = max(0.0, self._used + ask.charge, ask.used)
        left = ask.terms.size - self._used
        self._holders.drop_silent(now)
        cap = max(0.0, left) * LEASE_PART * self._holders.wants(holder, ask.want, now)
        granted = _grant(ask, left, cap)
        self._used += granted
        return Grant(granted, left - granted, cap, self._end - wall)

    def unused(self, now: float, wall: float) -> bool:
        return wall > self._end


class _Slots:
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
        holders.has(holder, ask.charge)
        cap = float(int(ask.terms.size * holders.wants(holder, ask.want, now)))
        free = ask.terms.size - holders.out
        granted = float(int(_grant(ask, free, cap)))
        holders.has(holder, ask.charge + granted)
        return Grant(granted, free - granted, cap)

    def unused(self, now: float, wall: float) -> bool:
        return abs(now - self._heard) > OUT_SECONDS


_RECORDS: dict[Kind, Callable[[Terms, float, float], _Record]] = {
    "rate": _Bucket,
    "day": _Counter,
    "month": _Counter,
    "slots": _Slots,
}


def _grant(ask: Ask, left: float, cap: float) -> float:
    """What waiting requests need, as far as it is there, and then something in advance."""
    if left + ROUNDING < ask.grain:
        return 0.0
    needed = min(ask.need, max(0.0, left))
    if cap + ROUNDING < ask.grain:
        return needed
    return needed + max(0.0, min(ask.want, cap, left - needed + ask.held) - ask.held)


def _drop_silent(heard: dict[str, float], now: float, after: float) -> list[str]:
    """Forgets who hasn't been heard of for so long, or seems to be heard of in the future."""
    silent = [holder for holder, at in heard.items() if abs(now - at) > after]
    for holder in silent:
        del heard[holder]
    return silent


def period_end(kind: Kind, wall: float) -> float:
    """When the day or month (UTC) that `wall` lies in is over; Unix seconds."""
    return float(month_starts(wall)[1]) if kind == "month" else (wall // 86400.0 + 1.0) * 86400.0


def month_starts(wall: float) -> tuple[int, int, int]:
    """When the month that `wall` lies in began, when the next one does, and the one after that."""
    first = datetime.fromtimestamp(wall, UTC).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    second = (first + timedelta(days=32)).replace(day=1)
    third = (second + timedelta(days=32)).replace(day=1)
    return int(first.timestamp()), int(second.timestamp()), int(third.timestamp())
