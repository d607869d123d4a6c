"""Requests of routes with limits, and the filter that holds them to these."""

import asyncio
import json
from math import inf

import pytest

from policies.limits.filter import Limits
from policies.limits.local import Local
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.route.document import Spec
from protos.route.match import Backend, Match
from protos.route.policies import Limit
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply, Service
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Part, Payload, Tensor, Tensors

REPLY = Reply(Part(Tensors(()), "1", {}, True))
NOON = 1_790_000_000.0 // 86_400 * 86_400 + 43_200.0  # of some day


class Clock:
    """Monotonic time that passes when a test says so; `wall` is Unix time beside it."""

    def __init__(self, wall: float = NOON) -> None:
        self.now = 1000.0
        self._offset = wall - self.now

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self._offset


def limit(**written: object) -> Limit:
    return Limit.model_validate_json(json.dumps({"per": "tenant", **written}))


def route(*limits: Limit, name: str = "fraud") -> RouteSnapshot:
    spec = Spec(
        match=(Match(model="fraud"),),
        backends=(Backend(name="stable", model="fraud"),),
        limits=limits,
    )
    return RouteSnapshot(name, "1", spec, ())


def request(
    of: RouteSnapshot | None,
    *,
    tenant: str = "acme",
    subject: str = "ann",
    rows: int = 1,
    model: str = "fraud",
    payload: Payload | None = None,
) -> InferRequest:
    principal = Principal(subject, tenant, frozenset())
    tensors = Tensors((Tensor("x", "FP32", (rows, 4), b""),))
    context = Context(principal, inf, Timeline(0.0), route=of)
    return InferRequest("1", model, "", payload or tensors, {}, context)


def limits_by(clock: Clock) -> Limits:
    return Limits(Local(clock.wall), clock, clock.wall)


async def service(request: InferRequest) -> Reply:
    return REPLY


def replied(limits: Limits, given: InferRequest, by: Service = service) -> Reply:
    """The reply, which the caller is to close."""

    async def ask() -> Reply:
        return await limits(given, by)

    return asyncio.run(ask())


def admitted(limits: Limits, given: InferRequest) -> bool:
    """Whether the request was answered; its reply is closed then."""
    try:
        replied(limits, given).on_close()
    except PenstockError as error:
        if error.kind is Kind.RATE_LIMITED:
            return False
        raise
    return True


def refusal(limits: Limits, given: InferRequest) -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        replied(limits, given)
    return caught.value
