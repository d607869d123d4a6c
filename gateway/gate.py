"""What every face does before and around the pipeline: who asks, until when, what is counted."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.metrics import Metrics
from protos import schedule
from protos.errors import Kind, PenstockError
from protos.service import Service
from protos.values import Context, InferRequest, Parameters, Payload, Principal, Timeline
from routing.endpoints import EndpointTable


@dataclass(frozen=True, slots=True)
class Gate:
    """Shared by the HTTP and gRPC faces of one worker.

    `authenticate` takes the value of the Authorization header and raises UNAUTHENTICATED;
    `total` is the time in seconds that a request may take unless it asks for less.
    """

    service: Service
    table: EndpointTable
    authenticate: Callable[[str], Principal]
    metrics: Metrics
    clock: Callable[[], float]
    total: float

    def request(
        self,
        principal: Principal,
        timeline: Timeline,
        *,
        model: str,
        version: str,
        request_id: str,
        payload: Payload,
        parameters: Parameters,
        traceparent: str = "",
        streaming: bool = False,
        time_left: float | None = None,
    ) -> InferRequest:
        """The decoded request with its deadline: the nearest of route, client and transport."""
        budget = self.total
        priority = 0
        if parameters:
            priority = schedule.priority(parameters)
            budget = min(budget, schedule.timeout(parameters))
        if time_left is not None:
            budget = min(budget, time_left)
        context = Context(
            principal,
            timeline.start + budget,
            timeline,
            None,
            traceparent,
            priority,
            False,
            streaming,
        )
        return InferRequest(request_id, model, version, payload, parameters, context)


def request_id(offered: str) -> str:
    """The client's `x-request-id` if it is one that a log line can bear, else a new one."""
    if 0 < len(offered) <= 128 and offered.isascii() and offered.replace("-", "").isalnum():
        return offered
    return secrets.token_hex(8)


def opaque(error: PenstockError) -> Mapping[str, str]:
    """Headers that go with an error, whatever the face."""
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    if error.kind is Kind.UNAUTHENTICATED:
        headers["www-authenticate"] = 'Bearer realm="penstock"'
    return headers
