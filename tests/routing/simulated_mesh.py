"""A mesh of simulated backends under the real registry, endpoint table, picking and retries.

Everything random comes from one seed: the mesh, its load, and the faults that befall it until it is
healed. What happened is kept as a `History`, on which invariants are checked.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.service import Reply, stack
from protos.values import Part, Tensors
from routing.circuit import Circuit
from routing.endpoints import EndpointTable
from routing.hedge import Hedge
from routing.pick import Pick
from routing.registry import Registry
from routing.retry import Budget, Budgets, Poison, Retry
from tests.routing.routed import route, routed
from tests.routing.simulated_time import run_simulated

MODEL = ("m", "1")
HEALED = 9.0  # seconds; faults end here
USABLE_WITHIN = 20.0  # seconds after that
END = HEALED + USABLE_WITHIN
ANSWER = Tensors(())


@dataclass(slots=True)
class Attempt:
    """One request at one backend. `present`: the table had this backend at the time."""

    request: str
    number: int
    instance: str
    at: float
    present: bool
    outcome: Kind | None = None
    executed: bool = False


@dataclass(slots=True)
class Asked:
    """One request; `possible`: whether there was a backend to be tried when it came."""

    id: str
    at: float
    idempotent: bool
    poison: bool
    possible: bool = False
    outcome: Kind | None = None
    refused_as_poison: bool = False


@dataclass(slots=True)
class History:
    """What happened. Times are in seconds since the beginning."""

    seed: int
    asked: dict[str, Asked] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    faults: list[tuple[float, str, str]] = field(default_factory=list)
    lost: int = 0
    deaths: dict[str, int] = field(default_factory=dict)  # by the poison request's id
    ejected: list[tuple[int, int]] = field(default_factory=list)  # at each ejection: of how many
    stale_accepted: list[str] = field(default_factory=list)
    epochs: dict[str, list[int]] = field(default_factory=dict)  # as snapshots had them
    out_of_service: list[str] = field(default_factory=list)  # in the end
    counters: dict[str, int] = field(default_factory=dict)


class Backend:
    """One instance over its lives: each life has an epoch and an address of its own."""

    def __init__(self, mesh: "Mesh", name: str) -> None:
        self.mesh = mesh
        self.name = name
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
            beat.models.models.add(name=MODEL[0], version=MODEL[1], state=pb.READY)
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
        answer = mesh.loop.create_future()
        timers = [mesh.loop.call_at(request.context.deadline, self._expire, answer)]
        if backend.hung_since is None:
            timers.append(self._begin(request, answer, attempt))
        self.in_flight += 1
        backend.calls[answer] = attempt
        try:
            return await answer
        except PenstockError as error:
            attempt.outcome = error.kind
            raise
        except asyncio.CancelledError:
            attempt.outcome = Kind.CANCELLED
            raise
        finally:
            self.in_flight -= 1
            del backend.calls[answer]
            for timer in timers:
                timer.cancel()

    def _begin(self, request, answer, attempt) -> asyncio.TimerHandle:
        """Queues the call; the timer for its end, whatever that will be."""
        mesh, backend = self.mesh, self.backend
        now = mesh.loop.time()
        share, kind = backend.failing
        if share and mesh.rng.random() < share:
            attempt.executed = kind is not Kind.OVERLOADED
            error = PenstockError(kind, "a fault of the simulation")
            return mesh.loop.call_later(0.001 + backend.extra, self._settle, answer, error)
        attempt.executed = True
        begins = max(now, backend.busy_until)
        backend.busy_until = begins + backend.service
        ends = backend.busy_until + backend.extra + 0.0003
        if mesh.history.asked[request.id].poison:
            return mesh.loop.call_at(ends, self._poisoned, request.id)
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

    def _poisoned(self, request_id) -> None:
        deaths = self.mesh.history.deaths
        deaths[request_id] = deaths.get(request_id, 0) + 1
        self.mesh.kill(self.backend)

    async def close(self) -> None:
        self.closed = True


class Mesh:
    """One worker, its view of a few backends, and what befalls them."""

    def __init__(
        self, seed: int, fate: "Fate | None", backends: int | None, rate: float | None
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.rng = rng = random.Random(seed)
        self.history = History(seed)
        self.registry = Registry()
        self.table = EndpointTable(
            lambda address, key: SimulatedExchange(self, address, key), self.loop.time
        )
        self.backends: dict[str, Backend] = {}
        self.fate = fate or Mesh.befall
        self.rate = rate or rng.choice((3.0, 6.0, 14.0))  # of turns with requests, a second
        for n in range(backends or rng.choice((1, 2, 3, 3, 4, 5, 6))):
            self.backends[f"b{n}"] = Backend(self, f"b{n}")
        self.route = route(
            retries={"hedgeAfter": "p95"} if rng.random() < 0.5 else {"max": rng.randint(0, 2)},
            circuit={"maxInFlight": rng.choice((8, 4096))},
        )
        self.pick = Pick(self.table, f"w{seed}", self.loop.time, self.loop.call_soon, rng)
        self.budgets = Budgets(Budget(0.0), self.loop.time)
        poison = Poison()
        surroundings = (self._idempotent, self.pick.has_elsewhere, self.loop.time)
        self.retry = Retry(self.budgets, poison, *surroundings)
        self.hedge = Hedge(self.budgets, poison, *surroundings)
        self.circuit = Circuit()
        self.service = stack([self.circuit, self.retry, self.hedge], self.pick)
        self._ejections = 0

    def _idempotent(self, request) -> bool:
        return self.history.asked[request.id].idempotent

    # What the simulated parts report.

    def attempt(self, request, instance: str, epoch: int) -> Attempt:
        present = any(
            e.instance == instance and e.epoch == epoch for e in self.table.serving(*MODEL)
        )
        instances = request.context.timeline.instances
        attempt = Attempt(request.id, len(instances), instance, self.loop.time(), present)
        self.history.attempts.append(attempt)
        return attempt

    def kill(self, backend: Backend) -> None:
        backend.die()
        self.loop.call_later(self.rng.uniform(0.5, 2.0), backend.start)

    # Discovery.

    async def discover(self) -> None:
        """Once a second: beats, some of them of former lives, leases, and the worker's snapshot."""
        while True:
            now = self.loop.time()
            for backend in self.backends.values():
                if backend.partitioned:
                    continue
                if backend.alive and self.registry.beat(backend.beat(), now) is not None:
                    backend.told = False  # evicted meanwhile: the next beat tells everything again
                if backend.epoch > 1 and self.rng.random() < 0.2:
                    self._stale_beat(backend, now)
            self.registry.expire(now)
            self._apply(now)
            await asyncio.sleep(1.0)

    def _stale_beat(self, backend: Backend, now: float) -> None:
        held = {
            lease.beat.instance: lease.beat.epoch for lease in self.registry.snapshot(now).leases
        }
        if held.get(backend.name, 0) < backend.epoch:
            return
        beat = pb.Beat(instance=backend.name, epoch=backend.epoch - 1, models_revision=1)
        beat.models.models.add(name=MODEL[0], version=MODEL[1], state=pb.READY)
        if self.registry.beat(beat, now) is None:
            self.history.stale_accepted.append(backend.name)

    def _apply(self, now: float) -> None:
        snapshot = self.registry.snapshot(now)
        self.table.apply(snapshot)
        for lease in snapshot.leases:
            self.history.epochs.setdefault(lease.beat.instance, []).append(lease.beat.epoch)

    # Load.

    async def load(self) -> None:
        rng = self.rng
        poisonous = self.fate is Mesh.befall and rng.random() < 0.2
        asking: list[asyncio.Task[None]] = []
        number = 0
        while self.loop.time() < END:
            healed = self.loop.time() > HEALED
            await asyncio.sleep(rng.expovariate(1.0 if healed else self.rate))
            for _ in range(rng.choice((1, 1, 1, 4))):
                number += 1
                poison = poisonous and not healed and rng.random() < 0.05
                asked = Asked(f"r{number}", self.loop.time(), rng.random() < 0.8, poison)
                asking.append(self.loop.create_task(self._ask(asked)))
        await asyncio.gather(*asking, return_exceptions=False)

    async def _ask(self, asked: Asked) -> None:
        history = self.history
        history.asked[asked.id] = asked
        asked.possible = any(e.possible for e in self.table.serving(*MODEL))
        if asked.poison:
            asked.idempotent = True
        deadline = self.loop.time() + self.rng.uniform(0.3, 2.0)
        request = routed(self.route, id=asked.id, deadline=deadline, data=asked.id.encode())
        # Who is refused as poison asks again, as clients do.
        for _ in range(2):
            try:
                await self.service(request)
            except PenstockError as error:
                asked.outcome = error.kind
                asked.refused_as_poison = "crash" in error.message
            if not asked.refused_as_poison:
                break
        if self.pick.outliers.ejections > self._ejections:
            self._ejections = self.pick.outliers.ejections
            serving = self.table.serving(*MODEL)
            out = sum(self.pick.outliers.excludes(e, MODEL) for e in serving)
            history.ejected.append((out, len(serving)))

    # Faults.

    async def befall(self) -> None:
        """Faults come at random until the mesh is healed, each on one backend or on all."""
        rng = self.rng
        while True:
            await asyncio.sleep(rng.expovariate(0.6))
            if self.loop.time() >= HEALED:
                return
            fault = rng.choice(FAULTS)
            everybody = list(self.backends.values())
            for backend in everybody if rng.random() < 0.1 else [rng.choice(everybody)]:
                if backend.alive:
                    self.history.faults.append((self.loop.time(), fault.__name__, backend.name))
                    fault(self, backend)

    async def heal(self) -> None:
        await asyncio.sleep(HEALED)
        for backend in self.backends.values():
            backend.heal()

    async def run(self) -> History:
        others = [
            self.loop.create_task(each) for each in (self.discover(), self.fate(self), self.heal())
        ]
        await self.load()
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        serving = {e.instance: e for e in self.table.serving(*MODEL)}
        for name in self.backends:
            endpoint = serving.get(name)
            if endpoint is None:
                self.history.out_of_service.append(f"{name} is not in the table")
            elif not endpoint.usable or self.pick.outliers.excludes(endpoint, MODEL):
                self.history.out_of_service.append(f"{endpoint} {endpoint.breakers}")
        self.history.counters = {
            "retries": self.retry.retries,
            "hedges": self.hedge.hedges,
            "ejections": self.pick.outliers.ejections,
            "panics": self.pick.panics,
            "refusals": self.circuit.refusals,
        }
        await self.table.close()
        return self.history


def killed(mesh: Mesh, backend: Backend) -> None:
    mesh.kill(backend)


def drained(mesh: Mesh, backend: Backend) -> None:
    backend.draining = True
    now = mesh.loop.time()
    mesh.registry.beat(backend.beat(), now)
    mesh._apply(now)

    def leave() -> None:
        backend.alive = False
        mesh.registry.leave(backend.name, backend.epoch)
        mesh._apply(mesh.loop.time())
        backend.sever()
        mesh.loop.call_later(1.0, backend.start)

    mesh.loop.call_later(2.5, leave)


def reset(mesh: Mesh, backend: Backend) -> None:
    backend.cut = True
    backend.sever()
    mesh.loop.call_later(0.1, setattr, backend, "cut", False)


def hung(mesh: Mesh, backend: Backend) -> None:
    backend.hung_since = mesh.loop.time()


def slowed(mesh: Mesh, backend: Backend) -> None:
    backend.extra = 0.5


def failing(mesh: Mesh, backend: Backend) -> None:
    kinds = (Kind.INTERNAL, Kind.BAD_REPLY, Kind.MODEL_FAILED, Kind.OVERLOADED, Kind.INTERRUPTED)
    backend.failing = (mesh.rng.choice((0.3, 1.0)), mesh.rng.choice(kinds))


def partitioned(mesh: Mesh, backend: Backend) -> None:
    backend.partitioned = True


FAULTS: tuple[Callable[[Mesh, Backend], None], ...] = (
    killed,
    drained,
    reset,
    hung,
    slowed,
    failing,
    failing,
    partitioned,
)


Fate = Callable[[Mesh], Coroutine[object, object, None]]


def simulate(
    seed: int,
    fate: Fate | None = None,
    *,
    backends: int | None = None,
    rate: float | None = None,
) -> History:
    """Half a minute of a mesh's life, decided by the seed alone where nothing else is said.

    `fate` brings faults of the caller's choice instead of random ones and of poison requests.
    """

    async def life() -> History:
        return await Mesh(seed, fate, backends, rate).run()

    return run_simulated(life())
