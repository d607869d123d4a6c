"""All leases of one process: which limits are asked about, and who waits for the answers.

Plain and synchronous but for `ask`. Whoever runs it (`gateway/state/leasing.py`) calls `due`
whenever `wake` was called and every `LEASE_SECONDS`, carries the asks to the ledger, and brings the
answer back or the news that there is none. Then a stand-in answers: a ledger of this process's own
with its share of each limit, so that nothing else changes.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple
from weakref import WeakValueDictionary

from policies.leases.lease import overdraft
from policies.leases.leased import AnyLease, Leased, Leases
from policies.leases.ledger import Ledger
from policies.leases.terms import Answer, Ask, terms_of
from policies.limits.allowance import Allowance, LimitId
from policies.limits.calendar import period
from policies.limits.elsewhere import Elsewhere
from protos.route.policies import Limit

BATCH = 256  # asks; a script on a server shared with others shouldn't run for long
MANY = 10_000  # leases; beyond that those that are quiet are forgotten, whatever they know
SWEEP_SECONDS = 5.0  # between looks at what can be forgotten
# Seconds that a request waits for an answer at most. The ledger's own patience is shorter; this is
# for whatever else may come between.
MOST_WAIT = 0.5


class _Place(NamedTuple):
    limit: LimitId
    leases: Leases
    key: str


class Batch(NamedTuple):
    """Asks, the leases that they are of, and the requests that wait for the answers."""

    asks: list[Ask]
    leases: list[AnyLease]
    waiting: list[asyncio.Future[None]]


class Lessee:
    """`holder` is this process's name with the ledger; `holders` how many there are, until told.

    `wake` asks for `due` to be called soon. `elsewhere` knows what was used of budgets before a
    ledger began, or lost what it knew.
    """

    def __init__(
        self,
        holder: str,
        holders: int,
        wake: Callable[[], None],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.holder = holder
        self.holders = holders
        self.wake = wake
        self._elsewhere = elsewhere or Elsewhere()
        self.lost = False
        self.losses = 0
        self.over_admitted: dict[LimitId, float] = {}  # in what each limit counts
        # And the most that it can come to at once, of one key, over all holders.
        self.bounds: dict[LimitId, float] = {}
        self.asked = 0  # requests that waited for an answer
        self._stand_in = Ledger()
        self._limits: WeakValueDictionary[LimitId, Leases] = WeakValueDictionary()
        self._places: dict[AnyLease, _Place] = {}
        self._live: dict[AnyLease, None] = {}
        self._swept_at = 0.0
        self._urgent: dict[AnyLease, None] = {}
        self._waiting: dict[AnyLease, list[asyncio.Future[None]]] = {}

    def __repr__(self) -> str:
        return f"<Lessee {self.holder}: {len(self._live)} leases{', lost' if self.lost else ''}>"

    def __call__(self, limit_id: LimitId, limit: Limit) -> Allowance:
        """The allowance of a limit; this is a `policies.limits.allowance.Make`."""
        leases = self._limits.get(limit_id)
        if leases is None:
            leases = self._limits[limit_id] = Leases()
        terms = terms_of(limit)
        self.bounds[limit_id] = overdraft(terms)
        for lease in leases.values():
            lease.terms = terms  # a budget was raised, and what was used of it stays used
        return Leased(self, limit_id, limit, terms, leases)

    def place(self, lease: AnyLease, limit: LimitId, leases: Leases, key: str) -> None:
        """Knows a new lease."""
        leases[key] = lease
        self._places[lease] = _Place(limit, leases, key)

    def watch(self, lease: AnyLease) -> None:
        """Looks after a lease until it is quiet."""
        lease.live = True
        self._live[lease] = None

    def hurry(self, lease: AnyLease) -> None:
        """Asks for it before its turn."""
        if not lease.live:
            self.watch(lease)
        if lease not in self._urgent:
            self._urgent[lease] = None
            self.wake()

    async def ask(self, lease: AnyLease) -> None:
        """Returns when there was an answer, or none to be had in time."""
        self.asked += 1
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        self._waiting.setdefault(lease, []).append(answered)
        self.hurry(lease)
        end = loop.call_later(MOST_WAIT, _wake, (answered,))
        try:
            await answered
        finally:
            end.cancel()

    @property
    def urgent(self) -> bool:
        return bool(self._urgent)

    def due(self, now: float, wall: float, *, all_: bool) -> list[Batch]:
        """What is to be asked now: what is urgent, or with `all_` whatever there is to say."""
        leases: Iterable[AnyLease] = self._urgent
        if all_:
            self._tidy(now)
            leases = self._live
        batches: list[Batch] = []
        for lease in leases:
            ask = lease.ask(now, stand_in=self.lost)
            if ask is None:
                continue
            if not batches or len(batches[-1].asks) >= BATCH:
                batches.append(Batch([], [], []))
            batches[-1].asks.append(self._with_used(lease, ask, wall))
            batches[-1].leases.append(lease)
            batches[-1].waiting.extend(self._waiting.pop(lease, ()))
        self._urgent.clear()
        return batches

    def _with_used(self, lease: AnyLease, ask: Ask, wall: float) -> Ask:
        kind, place = ask.terms.kind, self._places.get(lease)
        if place is None or (kind != "day" and kind != "month"):
            return ask
        used = self._elsewhere.used(place.limit, period(kind, wall).name, place.key)
        return ask._replace(used=used) if used else ask

    def answered(self, batch: Batch, answer: Answer, now: float) -> None:
        """The ledger's answer to a batch."""
        self.lost = False
        self.holders = max(1, answer.holders)
        try:
            for lease, ask, grant in zip(batch.leases, batch.asks, answer.grants, strict=True):
                over = lease.granted(ask, grant, now, self.holders)
                place = self._places.get(lease)
                if over and place is not None:
                    told = self.over_admitted.get(place.limit, 0.0)
                    self.over_admitted[place.limit] = told + over
        finally:
            _wake(batch.waiting)

    def unanswered(self, batch: Batch, now: float, wall: float) -> None:
        """The ledger can't be reached: the stand-in answers, with this process's share."""
        if not self.lost:
            self.lost = True
            self.losses += 1
            self._stand_in = Ledger()
        try:
            pairs = zip(batch.leases, batch.asks, strict=True)
            asks = [self._to_stand_in(lease, ask, now, wall) for lease, ask in pairs]
            answer = self._stand_in.exchange(self.holder, asks, now, wall)
            for lease, ask, grant in zip(batch.leases, asks, answer.grants, strict=True):
                lease.stood_in(ask, grant, now, self.holders)
        finally:
            _wake(batch.waiting)

    def retire(self) -> None:
        """Nothing more will be admitted: with the next asks everything is given back."""
        for lease in self._live:
            lease.retire()

    def _to_stand_in(self, lease: AnyLease, ask: Ask, now: float, wall: float) -> Ask:
        share = ask.terms.over(self.holders)
        # It begins with a share of what was left, not with a full bucket: every short loss would
        # otherwise be worth a burst.
        free = min(lease.left(now) - ask.held, ask.terms.size - ask.used) / self.holders
        level = min(share.size, free + ask.held + ask.reserved) + ask.charge
        self._stand_in.begin(ask.name, share, level, now, wall)
        return ask._replace(terms=share, used=0.0)

    def _tidy(self, now: float) -> None:
        for lease in [each for each in self._live if each.quiet(now)]:
            if lease not in self._waiting:
                lease.live = False
                del self._live[lease]
        if now - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = now
            many = len(self._places) > MANY
            for lease, place in list(self._places.items()):
                if not lease.live and lease.forgettable(now, many=many):
                    del self._places[lease], place.leases[place.key]


def _wake(waiting: Iterable[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
