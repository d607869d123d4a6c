"""Gateway workers and a backend on a simulated clock: the real decisions, nobody's noise.

Admission and scheduler are those that serve; the way between them takes WAY seconds, and a batch
takes as long as it is told, give or take 2 %.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any

from backends.batching.batch import Batch
from backends.batching.desk import STAGE_BEFORE
from backends.batching.job import BatchPolicy, Outcome
from policies.fair.admission import FREE, Admission, Counts, Place
from policies.fair.bound import Answer
from policies.fair.queue import Ticket
from policies.fair.settings import Fairness
from protos.errors import PenstockError
from tests.backends.jobs import job, scheduler

WAY = 0.0005  # seconds
JITTER = 0.02


@dataclass(frozen=True)
class Load:
    """Poisson arrivals of one tenant, `rate` a second; `timeout` in seconds."""

    rate: float
    timeout: float = 30.0


@dataclass
class Told:
    """What came of a tenant's requests; `done` has seconds of those that were answered."""

    done: list[float] = field(default_factory=list)
    refused: int = 0


@dataclass(eq=False)
class Asked:
    tenant: str
    arrival: float
    deadline: float
    gateway: Admission
    place: Place = FREE
    began: float = 0.0


class SimulatedMesh:
    """One device that executes `rows` requests in `seconds`, and gateway workers before it."""

    def __init__(
        self, seconds: float, rows: int, *, workers: int = 1, settings: Fairness | None = None
    ) -> None:
        policy = BatchPolicy(max_rows=rows, max_queue_rows=4096)
        self._seconds = seconds
        self._backend = scheduler(policy, base=seconds)
        given = settings or Fairness()
        self.workers = [Admission("m", given, 1 / workers, Counts()) for _ in range(workers)]
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = count()
        self._rng = random.Random(0)
        self._executing: Batch | None = None
        self._staged: Batch | None = None
        self._started = 0.0
        self._live: dict[Any, tuple[Asked, float]] = {}
        self._waiting: dict[Ticket, Asked] = {}
        self._from, self._until = 0.0, 0.0
        self.told: dict[str, Told] = {}

    def run(self, loads: Mapping[str, Load], seconds: float, learning: float = 5.0) -> None:
        """Offers the loads; only what is asked and answered after `learning` seconds is told."""
        self._from, self._until = learning, seconds
        for tenant, load in loads.items():
            self.told[tenant] = Told()
            rng = random.Random(tenant)
            at = rng.expovariate(load.rate)
            while at < seconds:
                worker = self.workers[rng.randrange(len(self.workers))]
                self._at(at, self._arrive, Asked(tenant, at, at + load.timeout, worker))
                at += rng.expovariate(load.rate)
        while self._events:
            now, _, act, given = heappop(self._events)
            act(now, *given)

    def _at(self, when: float, act: Callable[..., None], *given: Any) -> None:
        heappush(self._events, (when, next(self._numbers), act, given))

    def _arrive(self, now: float, asked: Asked) -> None:
        gateway = asked.gateway
        flow = gateway.flow(asked.tenant)
        if gateway.in_flight < gateway.bound.value and not gateway.queue.waiting:
            gateway.enter(flow, FREE)
            return self._send(now, asked)
        work = gateway.estimate(1)
        if gateway.passes(flow):
            asked.place = Place(work, extra=True)
            gateway.queue.charge(flow, work)
            gateway.enter(flow, asked.place)
            return self._send(now, asked)
        ticket = Ticket(flow, work, 2, asked.deadline, gateway.least_size)
        try:
            for out in gateway.wait(ticket, now):
                self._refused(now, self._waiting.pop(out))
        except PenstockError:
            return self._refused(now, asked)
        self._waiting[ticket] = asked
        return None

    def _send(self, now: float, asked: Asked) -> None:
        asked.began = now
        self._at(now + WAY, self._submit, asked)

    def _submit(self, now: float, asked: Asked) -> None:
        made = job(tenant=asked.tenant, now=now, timeout=asked.deadline - now)
        try:
            self._backend.add(made, now)
        except PenstockError:
            self._refused(now, asked)
            return self._at(now + WAY, self._leave, asked, None)
        self._live[made.id] = asked, now
        return self._kick(now)

    def _kick(self, now: float) -> None:
        """What the device's threads do when they are woken."""
        self._drop(now, self._backend.expire(now))
        if self._executing is not None:
            return self._stage(now)
        staged, self._staged = self._staged, None
        decision = self._backend.begin(staged, now) if staged else self._backend.next_batch(now)
        self._drop(now, decision.dropped)
        if decision.batch is None:
            if decision.until < float("inf"):
                self._at(max(decision.until, now + 1e-6), self._kick)
            return None
        self._executing, self._started = decision.batch, now
        took = self._seconds * self._rng.uniform(1 - JITTER, 1 + JITTER)
        self._at(now + took, self._finish)
        return self._at(max(now, self._backend.free_at - STAGE_BEFORE), self._stage)

    def _stage(self, now: float) -> None:
        early = now < self._backend.free_at - STAGE_BEFORE - 1e-9
        if early or self._executing is None or self._staged is not None:
            return
        decision = self._backend.next_batch(now, ahead=True)
        self._drop(now, decision.dropped)
        self._staged = decision.batch

    def _finish(self, now: float) -> None:
        batch, self._executing = self._executing, None
        assert batch is not None
        took = now - self._started
        parts: list[dict[str, Any]] = [{} for _ in batch.pieces]
        for outcome in self._backend.settle(batch, parts, self._started, now, took):
            asked, queued = self._live.pop(outcome.job.id)
            answer = (self._started - queued, took, outcome.batch_rows)
            self._at(now + WAY, self._leave, asked, answer)
        self._kick(now)

    def _drop(self, now: float, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            asked, _ = self._live.pop(outcome.job.id)
            self._refused(now, asked)
            self._at(now + WAY, self._leave, asked, None)

    def _leave(self, now: float, asked: Asked, answer: tuple[float, float, int] | None) -> None:
        gateway = asked.gateway
        flow = gateway.flow(asked.tenant)
        if answer is not None:
            if asked.arrival > self._from and now < self._until:
                self.told[asked.tenant].done.append(now - asked.arrival)
            queue, took, rows = answer
            if asked.place is not FREE or gateway.in_flight * 2 >= gateway.bound.value:
                seen = Answer(gateway.in_flight, asked.began, queue, took, rows, "only")
                gateway.observe(now, seen)
                gateway.account(flow, asked.place, took / rows, 1)
        gateway.leave(flow, asked.place)
        while (found := gateway.next(now, flow)) is not None:
            ticket, place = found
            other = self._waiting.pop(ticket)
            if place is None:
                self._refused(now, other)
            else:
                other.place = place
                self._send(now, other)

    def _refused(self, now: float, asked: Asked) -> None:
        if asked.arrival > self._from:
            self.told[asked.tenant].refused += 1
