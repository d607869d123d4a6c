"""One backend instance as this process sees it: what its beats tell, and how its calls go."""

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import count

from protos import discovery_pb2 as pb
from protos.errors import PenstockError
from protos.service import Reply
from protos.values import InferRequest, Signature, TensorSpec
from routing.breaker import Breaker, Verdict, verdict
from routing.exchange import Exchange
from routing.kept import Kept
from routing.latency import PeakEwma
from routing.reply_check import ReplyCheck

# Calls that share a batch while nothing better is known; only the ratio between endpoints matters.
TYPICAL_BATCH = 8

ModelKey = tuple[str, str]


class Endpoint:
    """One backend instance of one epoch.

    Beside what beats tell there is what only this process can see: how much longer its calls take
    than the backend says it spent on them (`excess`: the way there and back), and how they ended.
    Copies (shadow traffic) go into none of it: they wait longest, and nobody waits for them.
    """

    def __init__(
        self, beat: pb.Beat, exchange: Exchange, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.instance = beat.instance
        self.epoch = beat.epoch
        self.address = beat.address
        self.access_key = beat.access_key
        self.exchange = exchange
        self.models: dict[ModelKey, pb.Model] = {}
        self.signatures: dict[ModelKey, Signature] = {}
        self._checks: dict[ModelKey, ReplyCheck] = {}
        self.suspect_turn = asyncio.Lock()
        self.left = False
        self.excess = PeakEwma()
        self.kept = Kept(beat.access_key)
        self._missed = PeakEwma()  # by how much those were late that were given up
        self.breakers: dict[ModelKey, Breaker] = {}
        self._clock = clock
        self._due: dict[int, float] = {}  # when each unanswered call was expected to be answered
        self._tickets = count()
        self._models_revision = -1
        self.update(beat, suspect=False)

    def update(self, beat: pb.Beat, *, suspect: bool) -> None:
        """Takes a newer beat of the same instance and epoch."""
        self.beat = beat
        self.suspect = suspect
        # Read for every request, so as plain numbers: a message's fields cost ten times as much.
        load = beat.load
        self._willing = beat.healthy and not beat.draining and not suspect
        self._queued = load.queued_work_us / 1e6
        self._reported = load.in_flight
        self._per_call = load.service_p50_us / max(load.in_flight, TYPICAL_BATCH) / 1e6
        self._service = load.service_p99_us / 1e6
        self.kept.update(load, self._clock())
        if beat.models_revision != self._models_revision:
            self._models_revision = beat.models_revision
            self.models = {(m.name, m.version): m for m in beat.models.models}
            self.signatures = {key: signature(m) for key, m in self.models.items()}
            self._checks = {k: ReplyCheck(s) for k, s in self.signatures.items() if s.outputs}
            self.breakers = {k: b for k, b in self.breakers.items() if k in self.models}

    def leave(self) -> None:
        """The table has it no more: whoever still holds it must not send anything new here."""
        self.left = True
        self._willing = False

    @property
    def usable(self) -> bool:
        """Whether new work may go here: nothing said or seen speaks against it."""
        exchange = self.exchange
        return self._willing and exchange.connected and not exchange.silent

    @property
    def possible(self) -> bool:
        """Whether work could be written at all, for times when nothing is usable (panic)."""
        return self.exchange.connected and not self.beat.draining

    @property
    def state(self) -> str:
        if self.beat.draining:
            return "draining"
        if not self.exchange.connected:
            return "unreachable"
        if self.suspect or self.exchange.silent:
            return "suspect"
        return "ready" if self.beat.healthy else "unhealthy"

    def ready(self, key: ModelKey) -> bool:
        model = self.models.get(key)
        return model is not None and model.state == pb.READY

    def predicted_wait(self) -> float:
        """Seconds of work before a new call: what the last beat told and what went there since."""
        since = self.exchange.in_flight - self._reported
        return self._queued + since * self._per_call if since > 0 else self._queued

    def cost(self, now: float) -> float:
        """Seconds that a new call would lose here: waiting, on the way, and to what is stuck.

        The oldest unanswered call counts from when its answer was due, so that an endpoint that
        stops answering is left at once and not when the first of its calls has ended.
        """
        cost = self.predicted_wait() + max(self.excess.at(now), self._missed.at(now))
        if self._due:
            late = now - next(iter(self._due.values()))
            if late > 0.0:
                cost += late
        return cost

    async def __call__(self, request: InferRequest) -> Reply:
        if request.context.shadow:
            return await self.exchange(request)
        key = (request.model, request.version)
        breaker = self.breakers.get(key)
        if breaker is None:
            breaker = self.breakers[key] = Breaker()
        ticket = next(self._tickets)
        began = self._clock()
        due = self._due[ticket] = began + self.predicted_wait() + self._service
        try:
            reply = await self.exchange(request)
            if (check := self._checks.get(key)) is not None:
                reply = check(request, reply)
        except BaseException as error:
            now = self._clock()
            overdue = now - due
            if overdue > 0.0:
                self._missed.at_least(overdue, now)
            what = Verdict.NOTHING
            if isinstance(error, PenstockError):
                late = self._late(overdue, now) and not request.context.timeline.hurried
                what = verdict(error.kind, connected=self.exchange.connected, late=late)
            breaker.record(what, now)
            raise
        finally:
            del self._due[ticket]
        now = self._clock()
        first = reply.first
        self.excess.observe(now - began - (first.queue_us + first.compute_us) / 1e6, now)
        breaker.record(Verdict.GOOD, now)
        return reply

    def _late(self, overdue: float, now: float) -> bool:
        """Whether a call was longer under way than the slowest ones are that are answered."""
        return self._service > 0.0 and overdue > self.excess.at(now)

    def __repr__(self) -> str:
        return f"<Endpoint {self.instance} {self.address} {self.state}>"


def signature(model: pb.Model) -> Signature:
    """The wire form of a model's interface as a value."""
    return Signature(
        model.platform,
        _specs(model.inputs),
        _specs(model.outputs),
        model.max_batch_size,
        model.decoupled,
        model.idempotent,
        model.openai,
    )


def _specs(specs: Iterable[pb.TensorSpec]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(s.name, s.datatype, tuple(s.shape)) for s in specs)
