"""A mesh of simulated backends under the real registry, endpoint table, picking and retries.

Everything random comes from one seed: the mesh, its load, and the faults that befall it until it is
healed. What happened is kept as a `History`, on which invariants are checked.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine

from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.service import stack
from routing.circuit import Circuit
from routing.endpoints import EndpointTable
from routing.hedge import Hedge
from routing.pick import Pick
from routing.registry import Registry
from routing.retry import Budget, Budgets, Poison, Retry
from tests.routing.routed import route, routed
from tests.routing.simulated_backend import MODEL, Backend, SimulatedExchange
from tests.routing.simulated_history import Asked, Attempt, History
from tests.routing.simulated_time import run_simulated

HEALED = 9.0  # seconds; faults end here
USABLE_WITHIN = 20.0  # seconds after that
END = HEALED + USABLE_WITHIN


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
        self.hedge = Hedge(self.budgets, *surroundings)
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
