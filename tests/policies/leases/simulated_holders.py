"""Processes that share one limit over a slow, lossy line, in simulated time.

A holder speaks as `gateway/state/leasing.py` does: every `LEASE_SECONDS`, and at once when it is
urgent, one exchange at a time.
"""

import json
import random
from dataclasses import dataclass, field

from policies.leases.ledger import Ledger
from policies.leases.lessee import Batch, Lessee
from policies.leases.terms import LEASE_SECONDS, Answer
from policies.limits.allowance import ASK, LimitId
from protos.route.policies import Limit

STEP = 0.002  # seconds
WALL = 1_700_000_000.0
LIMIT = LimitId("fraud", "tenant/requests/5f2a", 0)


def limit(**written: object) -> Limit:
    return Limit.model_validate_json(json.dumps({"per": "tenant", **written}))


@dataclass
class Line:
    """How long a message is under way, and which part of all is lost."""

    delay: float = 0.0
    loss: float = 0.0
    patience: float = 0.05


@dataclass
class InFlight:
    batch: Batch
    arrives: float
    answer: Answer | None = None
    back: float = 0.0  # when the answer or the news that there is none arrives


@dataclass
class Holder:
    """One process: requests that wait are tried again when there was an answer."""

    lessee: Lessee
    of: Limit
    load: float  # requests a second
    admitted: int = 0
    refused: int = 0
    waited: int = 0
    next_round: float = 0.0
    queue: list[Batch] = field(default_factory=list)
    in_flight: InFlight | None = None
    waiting: int = 0
    takes: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.allowance = self.lessee(LIMIT, self.of)

    def request(self, now: float, *, again: bool = False) -> None:
        wait = self.allowance.wait("acme", 1.0, now)
        if wait == 0.0:
            self.allowance.take("acme", 1.0, now)
            self.admitted += 1
            self.takes.append(now)
        elif wait == ASK and not again:
            lease = self.allowance._leases["acme"]
            lease.need(1.0)
            self.lessee.hurry(lease)
            self.waiting += 1
            self.waited += 1
        else:
            self.refused += 1


class Simulation:
    """`clock` of the ledger may be set; `lost` counts exchanges that had no answer."""

    def __init__(self, of: Limit, loads: list[float], line: Line, seed: int) -> None:
        self.rng = random.Random(seed)
        self.of = of
        self.line = line
        self.ledger = Ledger()
        self.now = 1000.0
        self.clock_offset = 0.0
        self.lost = 0
        self.starts = 0
        self.reachable = True
        self.gone: list[Holder] = []
        self.holders: list[Holder] = []
        self._count = len(loads)
        for load in loads:
            self.holders.append(self._start(load))

    def _start(self, load: float) -> Holder:
        self.starts += 1
        lessee = Lessee(f"holder-{self.starts}", self._count, lambda: None)
        begins = self.now + self.rng.random() * LEASE_SECONDS
        return Holder(lessee, self.of, load, next_round=begins)

    def replace(self, index: int) -> None:
        """The process dies with all that it has leased, and another one takes its place."""
        dead = self.holders[index]
        self.gone.append(dead)
        self.holders[index] = self._start(dead.load)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += STEP
            for holder in self.holders:
                self._step(holder)

    @property
    def admitted(self) -> int:
        return sum(each.admitted for each in (*self.holders, *self.gone))

    def _step(self, holder: Holder) -> None:
        self._deliver(holder)
        expected = holder.load * STEP
        for _ in range(int(expected) + (self.rng.random() < expected % 1)):
            holder.request(self.now)
        self._speak(holder)

    def _deliver(self, holder: Holder) -> None:
        under_way = holder.in_flight
        if under_way is None:
            return
        lessee, batch = holder.lessee, under_way.batch
        if under_way.answer is None and under_way.back == 0.0 and self.now >= under_way.arrives:
            clock = self.now + self.clock_offset
            answer = self.ledger.exchange(lessee.holder, batch.asks, clock, WALL + clock)
            if self.rng.random() < self.line.loss:
                under_way.back = self.now + self.line.patience
            else:
                under_way.answer = answer
                under_way.back = self.now + self.rng.random() * self.line.delay
        if not under_way.back or self.now < under_way.back:
            return
        if under_way.answer is None:
            self.lost += 1
            lessee.unanswered(batch, self.now, WALL + self.now)
        else:
            lessee.answered(batch, under_way.answer, self.now)
        holder.in_flight = None
        if not holder.queue:
            waiting, holder.waiting = holder.waiting, 0
            for _ in range(waiting):
                holder.request(self.now, again=True)

    def _speak(self, holder: Holder) -> None:
        if holder.in_flight is not None:
            return
        if not holder.queue:
            all_ = self.now >= holder.next_round
            if all_:
                holder.next_round = self.now + LEASE_SECONDS
            elif not holder.lessee.urgent:
                return
            holder.queue = holder.lessee.due(self.now, WALL + self.now, all_=all_) or [
                Batch([], [], [])
            ]
        sent = InFlight(holder.queue.pop(0), self.now + self.rng.random() * self.line.delay)
        if not self.reachable or self.rng.random() < self.line.loss:
            sent.arrives = float("inf")
            sent.back = self.now + self.line.patience
        holder.in_flight = sent
        self._deliver(holder)
