"""What every face does before and around the pipeline: who asks, until when, what is counted."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.metrics import Metrics
from protos import schedule
from protos.errors import Kind, PenstockError
from protos.service import Service
from protos.values import Context, InferRequest, Parameters, Payload, Principal, Timeline
from routing.endpoints import EndpointTable

_TRACEPARENT_LENGTH = 55  # W3C Trace Context, version 00


@dataclass(frozen=True, slots=True)
class Gate:
    """Shared by the HTTP and gRPC faces of one worker.

    `authenticate` takes the value of the Authorization header and raises UNAUTHENTICATED;
    `total` is the time in seconds that a request may take unless it asks for less.
    """

    service: Service
    table: EndpointTable
    authenticate: Callable[[str | bytes], Principal]
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

    def observe(self, model: str, face: str, timeline: Timeline, error: Exception | None) -> None:
        """Counts an answered request; unknown models share a label, or strangers could fill it."""
        if not self.table.versions(model):
            model = "other"
        code = 200
        if error is not None:
            code = error.row.http if isinstance(error, PenstockError) else 500
        backend = (timeline.queue_us + timeline.compute_us) / 1e6
        self.metrics.observe(model, face, code, self.clock() - timeline.start, backend)


def trace_of(traceparent: str) -> str:
    """The client's W3C trace context; a malformed one is dropped, and the trace starts anew."""
    usable = len(traceparent) == _TRACEPARENT_LENGTH and traceparent.isascii()
    return traceparent if usable and traceparent.count("-") == 3 else ""


def client_gone() -> PenstockError:
    """How a request counts whose client didn't wait for the answer."""
    return PenstockError(Kind.CANCELLED, "the client went away")
