"""A mesh of simulated backends and gateways under the real routing and the real rollouts.

Everything random comes from one seed: the mesh, its load, and the faults that befall it until it is
healed. What happened is kept as a `History`, on which invariants are checked.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence

from protos import discovery_pb2 as pb
from protos.service import stack
from routing.circuit import Circuit
from routing.endpoints import EndpointTable
from routing.hedge import Hedge
from routing.pick import Pick
from routing.poison import Poison
from routing.registry import Registry
from routing.retry import Budget, Budgets, Retry
from routing.rules.route import Split
from tests.routing import simulated_faults as faults
from tests.routing import simulated_outcome as outcome
from tests.routing.simulated_backend import Backend, SimulatedExchange
from tests.routing.simulated_clients import Clients, WatchedSplitter
from tests.routing.simulated_gateway import Gateway
from tests.routing.simulated_history import Attempt, History
from tests.routing.simulated_routes import CANARY, NAME, PLANS, STABLE, STYLES, document
from tests.routing.simulated_store import Rows
from tests.routing.simulated_time import run_simulated

HEALED = 9.0  # seconds; faults end here
SETTLED = HEALED + 12.0  # rollouts go on until then
USABLE_WITHIN = 20.0  # seconds after that
END = HEALED + USABLE_WITHIN


class Mesh:
    """Two gateways, their view of a few backends, and what befalls them.

    The gateways have their routes and rollouts each, and share the rest of a worker.
    """

    def __init__(
        self,
        seed: int,
        fate: "Fate | None",
        backends: int | None,
        rate: float | None,
        plan: str | None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.rng = rng = random.Random(seed)
        self.rows = Rows()
        self.history = History(seed, plan=plan, written=self.rows.written)
        self.registry = Registry()
        self.table = EndpointTable(
            lambda address, key: SimulatedExchange(self, address, key), self.loop.time
        )
        self.fate = fate or Mesh.befall
        self._style = rng.randrange(len(STYLES))
        self.document = document(plan, self._style)
        self._stack(seed)
        self.versions = (STABLE["version"],) if plan is None else _VERSIONS
        self.backends = {b.name: b for b in self._deploy(backends or rng.choice(_SIZES))}
        self.turbulent = fate is None and rng.random() < 0.5  # for gateways and their store
        self.interrupted = False
        self.store_down_until = 0.0
        self.spoilt: str | None = None
        self.gateways = [Gateway(self, "a"), Gateway(self, "b")]
        poisonous = fate is None and rng.random() < 0.2
        self.clients = Clients(self, rate or rng.choice((2.0, 5.0, 13.0)), poisonous=poisonous)

    def _stack(self, seed: int) -> None:
        clock = self.loop.time
        self.pick = Pick(self.table, f"w{seed}", clock, self.loop.call_soon, self.rng)
        self.budgets = Budgets(Budget(0.0), clock)
        surroundings = (self._idempotent, self.pick.has_elsewhere, clock)
        self.retry = Retry(self.budgets, Poison(), *surroundings)
        self.hedge = Hedge(self.budgets, *surroundings)
        self.circuit = Circuit()
        self.split = Split(self.table, WatchedSplitter(self), self.budgets, clock)
        filters = [self.split, self.circuit, self.retry, self.hedge]
        self.service = stack(filters, self.pick)
        self._ejections = 0

    def _deploy(self, count: int) -> list[Backend]:
        """Backends with one version or both; each version is somewhere."""
        choice = [self.versions, *((version,) for version in self.versions)]
        served = [self.versions, *(self.rng.choice(choice) for _ in range(count - 1))]
        return [Backend(self, f"b{number}", each) for number, each in enumerate(served)]

    def _idempotent(self, request) -> bool:
        return self.history.asked[request.id].idempotent

    # What the simulated parts report.

    def attempt(self, request, instance: str, epoch: int) -> Attempt:
        serving = self.table.serving(request.model, request.version)
        present = any(e.instance == instance and e.epoch == epoch for e in serving)
        number, now = len(request.context.timeline.instances), self.loop.time()
        attempt = Attempt(request.id, number, request.version, instance, now, present)
        self.history.attempts.append(attempt)
        return attempt

    def note_ejections(self, version: str) -> None:
        """After a request that went to this version."""
        outliers = self.pick.outliers
        if outliers.ejections > self._ejections:
            self._ejections = outliers.ejections
            serving = self.table.serving(NAME, version)
            out = sum(outliers.excludes(e, (NAME, version)) for e in serving)
            self.history.ejected.append((out, len(serving)))

    # What faults do.

    def kill(self, backend: Backend) -> None:
        backend.die()
        self.loop.call_later(self.rng.uniform(0.5, 2.0), backend.start)

    def spoil(self, how: str) -> None:
        self.spoilt = how
        self.history.spoilt = (self.loop.time(), how)

    def edit(self) -> None:
        """The route asks for another rollout from now on."""
        self.document = document(self.history.plan, self._style, edited=True)
        for gateway in self.gateways:
            gateway.load()

    def note(self, fault: str, of: str) -> None:
        self.history.faults.append((self.loop.time(), fault, of))

    # Discovery.

    async def discover(self) -> None:
        """Once a second: beats, some of them of former lives, leases, and the gateways' view."""
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
            self.apply(now)
            await asyncio.sleep(1.0)

    def _stale_beat(self, backend: Backend, now: float) -> None:
        held = {
            lease.beat.instance: lease.beat.epoch for lease in self.registry.snapshot(now).leases
        }
        if held.get(backend.name, 0) < backend.epoch:
            return
        beat = pb.Beat(instance=backend.name, epoch=backend.epoch - 1, models_revision=1)
        beat.models.models.add(name=NAME, version=backend.versions[0], state=pb.READY)
        if self.registry.beat(beat, now) is None:
            self.history.stale_accepted.append(backend.name)

    def apply(self, now: float) -> None:
        snapshot = self.registry.snapshot(now)
        self.table.apply(snapshot)
        for lease in snapshot.leases:
            self.history.epochs.setdefault(lease.beat.instance, []).append(lease.beat.epoch)

    # Faults.

    async def befall(self) -> None:
        """Faults come at random until the mesh is healed."""
        if CANARY["version"] in self.versions and self.rng.random() < 0.5:
            how = self.rng.choice(("failing", "failing", "slow"))
            self.loop.call_later(self.rng.uniform(0.0, 6.0), self.spoil, how)
        await asyncio.gather(self._befall_backends(), self.befall_gateways(faults.OF_GATEWAYS))

    async def _befall_backends(self) -> None:
        """Each on one backend or on all."""
        rng = self.rng
        while True:
            await asyncio.sleep(rng.expovariate(0.6))
            if self.loop.time() >= HEALED:
                return
            fault = rng.choice(faults.OF_BACKENDS)
            everybody = list(self.backends.values())
            for backend in everybody if rng.random() < 0.1 else [rng.choice(everybody)]:
                if backend.alive:
                    self.note(fault.__name__, backend.name)
                    fault(self, backend)

    async def befall_gateways(self, those: Sequence[faults.OfGateway]) -> None:
        """And whatever may happen while they are at work with the store."""
        rng = self.rng
        while self.turbulent:
            await asyncio.sleep(rng.expovariate(0.4))
            if self.turbulent and (up := [gateway for gateway in self.gateways if gateway.up]):
                self.strike(rng.choice(those), rng.choice(up))

    def strike(self, fault: faults.OfGateway, gateway: Gateway) -> None:
        self.note(fault.__name__, gateway.name)
        fault(self, gateway)

    async def heal(self) -> None:
        await asyncio.sleep(HEALED)
        self.turbulent = False
        for backend in self.backends.values():
            backend.heal()
        for gateway in self.gateways:
            gateway.offset = 0.0

    async def settle(self) -> None:
        """In the end everybody agrees on what is in force."""
        if self.fate is Mesh.befall:
            await self._look_after()
        await asyncio.sleep(SETTLED - self.loop.time())
        self.history.unsettled = outcome.unsettled(self)
        for gateway in self.gateways:
            gateway.rest()

    async def _look_after(self) -> None:
        """Somebody does, after what has stopped by itself."""
        await asyncio.sleep(HEALED + 3.0)
        if self.rng.random() < 0.5:
            self.strike(faults.resumed, self.gateways[0])
            await asyncio.sleep(1.0)
        if self.rng.random() < 0.3:
            self.strike(faults.aborted, self.gateways[1])

    # The end.

    async def run(self) -> History:
        parts = (self.discover(), self.fate(self), self.heal(), self.settle())
        others = [self.loop.create_task(each) for each in parts]
        await self.clients.ask(HEALED, SETTLED, END)
        for task in others:
            task.cancel()
        ended = await asyncio.gather(*others, return_exceptions=True)
        for mistake in ended:
            if mistake is not None and not isinstance(mistake, asyncio.CancelledError):
                raise mistake
        self.history.out_of_service = outcome.out_of_service(self)
        self.history.counters = outcome.counters(self)
        await self.table.close()
        return self.history


_SIZES = (1, 2, 3, 3, 4, 5, 6)
_VERSIONS = (STABLE["version"], CANARY["version"])
Fate = Callable[[Mesh], Coroutine[object, object, None]]


def simulate(
    seed: int,
    fate: Fate | None = None,
    *,
    backends: int | None = None,
    rate: float | None = None,
    plan: str | None = None,
) -> History:
    """Half a minute of a mesh's life, decided by the seed alone where nothing else is said.

    `fate` brings faults of the caller's choice instead of random ones and of poison requests, and
    then the route is as `plan` has it: without one, there is one arm.
    """

    async def life() -> History:
        chosen = plan
        if fate is None and plan is None:
            chosen = random.Random(f"plan of {seed}").choice((None, None, *PLANS))
        return await Mesh(seed, fate, backends, rate, chosen).run()

    return run_simulated(life())
