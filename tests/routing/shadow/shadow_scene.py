"""A scene for tests of shadow traffic: a route with a mirror, its requests, scripted services."""

import asyncio
import random
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.route.document import Spec
from protos.route.mirror import Mirror as Rule
from protos.route.snapshot import Arm, RouteSnapshot
from protos.service import Reply
from protos.timeline import Target, Timeline
from protos.values import Context, InferRequest, Part, Tensor, Tensors
from routing.poison import Poison
from routing.shadow.mirror import Mirror
from routing.shadow.pairing import Pairing
from routing.shadow.record import Outcome, PairRecord

TRACE = "0af7651916cd43dd8448eb211c80319c"
STABLE = Target("stable", "m", "1")


def rule(backend: str = "candidate", **settings: object) -> Rule:
    return Rule.model_validate(
        {"backend": backend, "model": "m", "version": "2", "percent": 100.0, **settings}
    )


def route(
    *rules: Rule, rollout: str = "", arms: Sequence[Arm] = (), **blocks: object
) -> RouteSnapshot:
    spec = Spec.model_validate(
        {
            **blocks,
            "match": ({"model": "m"},),
            "backends": (
                {"name": "stable", "model": "m", "version": "1", "weight": 95},
                {"name": "canary", "model": "m", "version": "2", "weight": 5},
            ),
            "rollout": {
                "steps": ({"mirror": {"percent": 20.0, "until": {"samples": 10}}},),
                "analysis": {
                    "baseline": "stable",
                    "metrics": ({"name": "error_rate", "maxDelta": "1pp"},),
                },
            },
        }
    )
    both = (Arm("stable", "m", "1", 95.0), Arm("canary", "m", "2", 5.0))
    return RouteSnapshot("fraud", "r1", spec, tuple(arms) or both, rules, rollout)


def payload(*values: float) -> Tensors:
    data = struct.pack(f"<{len(values)}f", *values)
    return Tensors((Tensor("x", "FP32", (1, len(values)), data),))


def part(*values: float, version: str = "1", final: bool = True) -> Part:
    return Part(payload(*values), version, {}, final)


def request(
    snapshot: RouteSnapshot | None,
    *values: float,
    target: Target = STABLE,
    budget: float = 5.0,
    streaming: bool = False,
    shadow: bool = False,
    parameters: dict[str, int] | None = None,
) -> InferRequest:
    now = time.monotonic()
    context = Context(
        Principal("s", "acme", frozenset()),
        now + budget,
        Timeline(now),
        target,
        f"00-{TRACE}-b7ad6b7169203331-01",
        streaming=streaming,
        shadow=shadow,
        route=snapshot,
    )
    asked = payload(*(values or (0.5,)))
    return InferRequest("id-1", target.model, target.version, asked, parameters or {}, context)


class Answers:
    """A service that answers by version: values, parts of a stream, a failure, or nothing ever.

    Keeps what it was asked and what of it was closed.
    """

    def __init__(self, **by_version: object) -> None:
        self.by_version = {key.removeprefix("v"): value for key, value in by_version.items()}
        self.asked: list[InferRequest] = []
        self.closed: list[str] = []

    async def __call__(self, request: InferRequest) -> Reply:
        self.asked.append(request)
        answer = self.by_version.get(request.version, part(0.0, version=request.version))
        if answer is NEVER:
            await asyncio.Event().wait()
        if isinstance(answer, Kind):
            raise PenstockError(answer, "scripted")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Part):
            return Reply(answer, None, lambda: self.closed.append(request.version))
        first, *rest = answer
        return Reply(first, _parts(rest), lambda: self.closed.append(request.version))


NEVER = object()


async def _parts(rest: Sequence[Part | Exception]) -> AsyncIterator[Part]:
    for each in rest:
        await asyncio.sleep(0)
        if each is NEVER:
            await asyncio.Event().wait()
        if isinstance(each, Exception):
            raise each
        yield each


def bitwise(primary: Sequence[Part], candidate: Sequence[Part]) -> Outcome:
    """The comparison of these tests: equal bytes agree."""
    one, other = (
        [t.data for p in parts for t in p.payload.tensors] for parts in (primary, candidate)
    )
    return Outcome(one == other, 0.0 if one == other else 1.0)


class Scene:
    """A Mirror over `service` whose records are collected; `async with` closes it."""

    def __init__(
        self,
        service: Callable[[InferRequest], Awaitable[Reply]],
        *,
        resolve: Callable[[str, str], str] = lambda model, version: version or "2",
        idempotent: bool = True,
        comparator: Callable[..., Outcome] = bitwise,
        poison: Poison | None = None,
        total: float = 5.0,
        seed: int = 7,
        **pairing: object,
    ) -> None:
        self.records: list[PairRecord] = []
        self.service = service
        self.pairing = Pairing(lambda compare: comparator, self._keep, **pairing)
        self.mirror = Mirror(
            service,
            resolve,
            self.pairing,
            idempotent=lambda _: idempotent,
            poison=poison or Poison(),
            total=total,
            rng=random.Random(seed).random,
            clock=time.monotonic,
            wall=lambda: 1_700_000_000.0,
        )

    async def __aenter__(self) -> "Scene":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.mirror.close()

    async def ask(self, request: InferRequest) -> list[Part]:
        """The parts of the primary's answer, read and closed as a face does."""
        reply = await self.mirror(request, self.service)
        try:
            return [reply.first] + [each async for each in reply.rest or _parts(())]
        finally:
            reply.on_close()

    async def recorded(self, count: int = 1) -> list[PairRecord]:
        """So many records, when they are there."""
        async with asyncio.timeout(5.0):
            while len(self.records) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return self.records

    async def mirror_idle(self) -> None:
        """Until no copy is under way."""
        await asyncio.sleep(0)
        while self.mirror.in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0)

    def counts(self, mirror: str = "candidate"):
        return self.pairing.counts_of("fraud", mirror)

    def _keep(self, record: PairRecord) -> bool:
        self.records.append(record)
        return True
