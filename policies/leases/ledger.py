"""What is left of shared limits, and who has leased what: plain, synchronous, without I/O.

The same rules stand in `script.py` for Redis. A ledger grants only what it has, so that what is
admitted from grants never exceeds a limit. What holders say they have used is charged in any case,
if need be into debt, which later grants pay off: over-admission is at most what holders may use
before they say so.

What a holder has leased and reserved is told as it is every time, so that no lost message loses
any of it. When a holder hasn't been heard of for some time, its leases are taken as used, and what
its requests had reserved, and slots that it had, are there for others.
"""

from collections.abc import Callable, Sequence

from policies.leases.records import Bucket, Counter, Record, Slots
from policies.leases.terms import ACTIVE_SECONDS, Answer, Ask, Kind, Terms

SWEEP = 4096  # records; from twice as many as were left last time on it is looked for unused ones


_RECORDS: dict[Kind, Callable[[Terms, float, float], Record]] = {
    "rate": Bucket,
    "day": Counter,
    "month": Counter,
    "slots": Slots,
}


class Ledger:
    """Records by name. `now` is monotonic, `wall` the time of the calendar (Unix)."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._holders: dict[str, float] = {}
        self._sweep_at = SWEEP

    def __repr__(self) -> str:
        return f"<Ledger {len(self._records)} records, {len(self._holders)} holders>"

    def __len__(self) -> int:
        return len(self._records)

    def exchange(self, holder: str, asks: Sequence[Ask], now: float, wall: float) -> Answer:
        """Answers a holder; no asks only say that it is there."""
        self._holders[holder] = now
        # Or those who seem to be heard of in the future, when a clock was set back.
        for other in [o for o, at in self._holders.items() if abs(now - at) > ACTIVE_SECONDS]:
            del self._holders[other]
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

    def _record(self, name: str, terms: Terms, now: float, wall: float) -> Record:
        record = self._records.get(name)
        if record is None:
            record = self._records[name] = _RECORDS[terms.kind](terms, now, wall)
        return record

    def _sweep(self, now: float, wall: float) -> None:
        """Forgets what a new record would be like."""
        self._records = {k: r for k, r in self._records.items() if not r.unused(now, wall)}
        self._sweep_at = max(SWEEP, 2 * len(self._records))
