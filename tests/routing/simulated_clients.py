"""Who asks a simulated mesh for answers, and what they see."""

import asyncio
from typing import TYPE_CHECKING

from protos.errors import PenstockError
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Tensor, Tensors
from routing.rules.split import Splitter
from routing.shadow.record import Outcome, PairRecord, Side
from tests.routing.simulated_history import Asked, Choice
from tests.routing.simulated_routes import CANARY, NAME, STABLE

if TYPE_CHECKING:
    from tests.routing.simulated_gateway import Gateway
    from tests.routing.simulated_mesh import Mesh

USERS = tuple(Principal(f"u{number}", "t", frozenset()) for number in range(40))
# How often a client names the version itself: before and after the mesh has healed, and when its
# rollouts have settled. Else nobody would try again what was out of service when its arm lost its
# share.
NAMES_VERSION = (0.05, 0.3, 1.0)
DIFFERS, DIFFERS_SPOILT = 0.02, 0.6  # shares of the mirrored answers


class WatchedSplitter(Splitter):
    """The real one, with a record of what it chose."""

    def __init__(self, mesh: "Mesh") -> None:
        super().__init__(mesh.rng.random)
        self._mesh = mesh

    def choose(self, route, request):
        arm = super().choose(route, request)
        mesh, now = self._mesh, self._mesh.loop.time()
        candidate = route.arm(CANARY["name"])
        user = request.context.principal.subject if route.spec.sticky else ""
        weight = 0.0 if candidate is None else candidate.weight
        mesh.history.choices.append(
            Choice(request.id, now, user, request.version, arm.name, route.rollout, weight)
        )
        asked = mesh.history.asked[request.id]
        if not asked.arm:
            asked.possible = any(e.possible for e in mesh.table.serving(arm.model, arm.version))
        return arm


class Clients:
    """Requests at random times, fewer when the mesh has healed."""

    def __init__(self, mesh: "Mesh", rate: float, *, poisonous: bool) -> None:
        self.mesh = mesh
        self.rate = rate  # of turns with requests, a second
        self.poisonous = poisonous

    async def ask(self, healed: float, settled: float, end: float) -> None:
        """Until `end`; the others are times as well."""
        rng, loop = self.mesh.rng, self.mesh.loop
        asking: list[asyncio.Task[None]] = []
        number = 0
        while loop.time() < end:
            late = loop.time() > healed
            await asyncio.sleep(rng.expovariate(1.0 if late else self.rate))
            for _ in range(rng.choice((1, 1, 1, 4))):
                number += 1
                poison = self.poisonous and not late and rng.random() < 0.05
                version = ""
                if rng.random() < NAMES_VERSION[late + (loop.time() > settled)]:
                    version = rng.choice(self.mesh.versions)
                idempotent = rng.random() < 0.8
                asked = Asked(f"r{number}", loop.time(), idempotent, poison, bool(version))
                asking.append(loop.create_task(self._ask(asked, version)))
        await asyncio.gather(*asking)

    async def _ask(self, asked: Asked, version: str) -> None:
        mesh, rng = self.mesh, self.mesh.rng
        gateways = [gateway for gateway in mesh.gateways if gateway.up]
        if not gateways:
            return
        gateway = rng.choice(gateways)
        mesh.history.asked[asked.id] = asked
        if asked.poison:
            asked.idempotent = True
        now = mesh.loop.time()
        who = rng.choice(USERS)
        route = gateway.table.match(NAME, who, ())
        timeline = Timeline(now, route=route.name, rollout=route.rollout)
        context = Context(who, now + rng.uniform(0.3, 2.0), timeline, route=route)
        data = Tensors((Tensor("x", "FP32", (1,), asked.id.encode()),))
        request = InferRequest(asked.id, NAME, version, data, {}, context)
        failure = None
        # Who is refused as poison asks again, as clients do.
        for _ in range(2):
            try:
                await mesh.service(request)
                failure = None
            except PenstockError as error:
                failure = error
                asked.outcome = error.kind
                asked.refused_as_poison = "crash" in error.message
            asked.arm = timeline.arm
            if not asked.refused_as_poison:
                break
        if timeline.arm:
            gateway.book.observe(timeline, failure)
        if failure is None and timeline.arm == STABLE["name"]:
            self._mirror(gateway, route)
        served = route.arm(timeline.arm)
        if served is not None:
            mesh.note_ejections(served.version)

    def _mirror(self, gateway: "Gateway", route: RouteSnapshot) -> None:
        """What the comparison of a copy's answer would find."""
        rng = self.mesh.rng
        for mirror in route.mirrors:
            if rng.random() * 100 < mirror.percent:
                differs = DIFFERS if self.mesh.spoilt is None else DIFFERS_SPOILT
                record = PairRecord(
                    at=gateway.wall(),
                    route=route.name,
                    mirror=mirror.backend,
                    arm=STABLE["name"],
                    model=NAME,
                    version=mirror.version,
                    primary_version=STABLE["version"],
                    tenant="t",
                    trace_id="",
                    request_id="",
                    kind="tensor",
                    status="compared" if rng.random() < 0.99 else "dropped",
                    primary=Side(0.01),
                    candidate=Side(0.01),
                    outcome=Outcome(rng.random() >= differs),
                    rollout=route.rollout,
                )
                gateway.pairs.append(record)
