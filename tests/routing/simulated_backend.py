"""A simulated backend over its lives, and what stands for an exchange with one of them."""

import asyncio
from typing import TYPE_CHECKING

from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import Part, Tensors
from tests.routing.simulated_history import Attempt
from tests.routing.simulated_routes import CANARY, NAME

if TYPE_CHECKING:
    from tests.routing.simulated_mesh import Mesh

ANSWER = Tensors(())
# What a spoilt canary does: so many failures more, or answers so much later.
SPOILT_SHARE = 0.3
SPOILT_SECONDS = 0.05


class Backend:
    """One instance over its lives: each life has an epoch and an address of its own."""

    def __init__(self, mesh: "Mesh", name: str, versions: tuple[str, ...]) -> None:
        self.mesh = mesh
        self.name = name
        self.versions = versions
        self.service = mesh.rng.uniform(0.002, 0.02)  # seconds a call, one at a time
        self.epoch = 0
        self.calls: dict[asyncio.Future[Reply], Attempt] = {}
        self.heal()
        self.start()

    def start(self) -> None:
        self.epoch += 1
        self.alive, self.draining, self.told = True, False, False
        self.busy_until = 0.0

    def heal(self) -> None:
        self.cut = self.partitioned = False
        self.hung_since: float | None = None
        self.extra = 0.0  # seconds on the way
        self.failing: tuple[float, Kind] = (0.0, Kind.INTERNAL)

    @property
    def address(self) -> str:
        return f"{self.name}/{self.epoch}"

    def beat(self) -> pb.Beat:
        now = self.mesh.loop.time()
        beat = pb.Beat(
            instance=self.name,
            epoch=self.epoch,
            address=self.address,
            access_key=self.address,
            models_revision=1,
            healthy=True,
            draining=self.draining,
            load=pb.Load(
                queued_work_us=int(max(0.0, self.busy_until - now) * 1e6),
                in_flight=len(self.calls),
                service_p50_us=int(self.service * 1e6),
                service_p99_us=int(self.service * 2e6),
            ),
        )
        if not self.told:
            self.told = True
            for version in self.versions:
                beat.models.models.add(name=NAME, version=version, state=pb.READY)
        return beat

    def sever(self) -> None:
        """Every call in flight is lost with its connection."""
        if self.calls:
            self.mesh.budgets.shared.reserve_for(len(self.calls))
        self.mesh.history.lost += len(self.calls)
        for answer in list(self.calls):
            if not answer.done():
                answer.set_exception(PenstockError(Kind.LOST, "the stream ended"))

    def die(self) -> None:
        self.alive = False
        self.sever()
        self.mesh.registry.disconnected(self.name, self.epoch)


class SimulatedExchange:
    """Stands for `routing.exchange.Exchange` to one life of a backend."""

    def __init__(self, mesh: "Mesh", address: str, access_key: str) -> None:
        name, _, epoch = address.partition("/")
        self.mesh = mesh
        self.backend = mesh.backends[name]
        self.epoch = int(epoch)
        self.in_flight = 0
        self.closed = False
        self._answers: set[asyncio.Future] = set()

    @property
    def connected(self) -> bool:
        backend = self.backend
        return backend.alive and backend.epoch == self.epoch and not (backend.cut or self.closed)

    @property
    def silent(self) -> bool:
        since = self.backend.hung_since
        return self.in_flight > 0 and since is not None and self.mesh.loop.time() - since > 1.0

    async def __call__(self, request) -> Reply:
        if not self.connected:
            raise PenstockError(Kind.UNAVAILABLE, "not connected")
        mesh, backend = self.mesh, self.backend
        attempt = mesh.attempt(request, backend.name, self.epoch)
        timeline = request.context.timeline
        timeline.began = timeline.began or mesh.loop.time()
        answer = mesh.loop.create_future()
        timers = [mesh.loop.call_at(request.context.deadline, self._expire, answer)]
        if backend.hung_since is None:
            timers.append(self._begin(request, answer, attempt))
        self.in_flight += 1
        self._answers.add(answer)
        backend.calls[answer] = attempt
        try:
            reply = await answer
            timeline.answered = mesh.loop.time()
            return reply
        except PenstockError as error:
            attempt.outcome = error.kind
            raise
        except asyncio.CancelledError:
            attempt.outcome = Kind.CANCELLED
            raise
        finally:
            self.in_flight -= 1
            self._answers.discard(answer)
            del backend.calls[answer]
            for timer in timers:
                timer.cancel()

    def _begin(self, request, answer, attempt) -> asyncio.TimerHandle:
        """Queues the call; the timer for its end, whatever that will be."""
        mesh, backend = self.mesh, self.backend
        now = mesh.loop.time()
        share, kind = backend.failing
        slower = 0.0
        if request.version == CANARY["version"] and mesh.spoilt is not None:
            if mesh.spoilt == "failing" and mesh.rng.random() < SPOILT_SHARE:
                share, kind = 1.0, Kind.MODEL_FAILED
            elif mesh.spoilt == "slow":
                slower = SPOILT_SECONDS
        if share and mesh.rng.random() < share:
            attempt.executed = kind is not Kind.OVERLOADED
            error = PenstockError(kind, "a fault of the simulation")
            return mesh.loop.call_later(0.001 + backend.extra, self._settle, answer, error)
        attempt.executed = True
        begins = max(now, backend.busy_until)
        backend.busy_until = begins + backend.service
        ends = backend.busy_until + backend.extra + slower + 0.0003
        if mesh.history.asked[request.id].poison:
            return mesh.loop.call_at(ends, self._poisoned, (request.id, request.version))
        queue_us, compute_us = int((begins - now) * 1e6), int(backend.service * 1e6)
        part = Part(ANSWER, "1", {}, True, queue_us, compute_us, 1)
        return mesh.loop.call_at(ends, self._settle, answer, Reply(part))

    def _settle(self, answer, outcome) -> None:
        if answer.done():
            return
        if isinstance(outcome, PenstockError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def _expire(self, answer) -> None:
        self._settle(answer, PenstockError(Kind.DEADLINE, "the deadline passed"))

    def _poisoned(self, request) -> None:
        deaths = self.mesh.history.deaths
        deaths[request] = deaths.get(request, 0) + 1
        self.mesh.kill(self.backend)

    def cut_off(self, reason: str) -> None:
        for answer in self._answers:
            self._settle(answer, PenstockError(Kind.CUT_OFF, reason))

    async def close(self) -> None:
        self.closed = True
