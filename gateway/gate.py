"""What every face does before and around the pipeline: who asks, until when, what is counted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from gateway.arms import ArmBook
from gateway.audit.log import AuditLog
from gateway.metrics import Metrics
from gateway.recent import Ended, Noted
from gateway.routes.current import CurrentRoutes, interface
from gateway.telemetry.request_log import Log, unlogged
from gateway.telemetry.requests import REUSED
from gateway.tracing.tracer import Tracer, untraced
from gateway.usage.book import UsageBook
from policies.authenticate import Authenticate
from protos import schedule
from protos.errors import TABLE, Kind, PenstockError, unknown_model
from protos.principal import Principal
from protos.service import Service
from protos.timeline import Timeline
from protos.usage import check_maxima
from protos.values import Context, Headers, InferRequest, Parameters, Payload, Signature
from routing.endpoints import EndpointTable
from routing.resolve import signature_of


@dataclass(frozen=True, slots=True)
class Gate:
    """Shared by the HTTP and gRPC faces of one worker.

    `authenticate` takes a credential and a certificate's names and raises UNAUTHENTICATED;
    `total` is the time in seconds that a request may take unless its route or it says otherwise.
    """

    service: Service
    table: EndpointTable
    routes: CurrentRoutes
    authenticate: Authenticate
    metrics: Metrics
    arms: ArmBook
    clock: Callable[[], float]
    total: float
    audit: AuditLog
    usage: UsageBook
    noted: Noted = field(default_factory=Noted)
    tracer: Tracer = field(default_factory=untraced)
    log: Log = unlogged

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
        headers: Headers = (),
        streaming: bool = False,
        time_left: float | None = None,
    ) -> InferRequest:
        """The decoded request with its route and deadline: the nearest of route, client, transport.

        The route is pinned here: whatever is loaded later, this request keeps its rules.
        """
        route = self.routes.match(model, principal, headers)
        timeline.principal = principal
        timeline.snapshot = route
        traceparent = self.tracer.begin(timeline)
        if route.spec.privacy is not None:
            timeline.tracestate = ""  # vendors' text, in which anything may stand
        timeline.streaming = streaming
        timeline.route = route.name
        timeline.rollout = route.rollout
        spec = route.spec
        budget = spec.timeouts.total or self.total
        first = (spec.timeouts.first_token or inf) if streaming else inf
        patience = inf if time_left is None else time_left  # the client's own
        priority = 0
        if parameters:
            check_maxima(parameters)
            priority = schedule.priority(parameters)
            patience = min(patience, schedule.timeout(parameters))
        timeline.whole_by_client = patience < budget
        timeline.first_by_client = patience < min(budget, first)
        context = Context(
            principal,
            timeline.start + min(budget, patience),
            timeline,
            None,
            traceparent,
            max(priority, spec.priority.highest) if priority else spec.priority.default,
            False,
            streaming,
            False,
            route,
            headers,
            timeline.start + first,
        )
        return InferRequest(request_id, model, version, payload, parameters, context)

    def signature(
        self, principal: Principal, timeline: Timeline, model: str, version: str, headers: Headers
    ) -> Signature:
        """What a body without names or datatypes means; hidden from who may not use the model."""
        route = self.routes.match(model, principal, headers)
        if not principal.may_infer(model):
            # For the audit it is the refusal that it would be a little later.
            timeline.snapshot, timeline.refused = route, "authorise"
            raise unknown_model(model)
        target, exact = interface(self.table, route, model, version)
        return signature_of(self.table, target, exact)

    def observe(self, model: str, face: str, timeline: Timeline, error: Exception | None) -> None:
        """Counts and records an answered request.

        Unknown models share a name, as it might be anything: a label that strangers could fill, or
        what somebody has pasted.
        """
        if not (self.table.versions(model) or self.routes.table.names(model)):
            model = "other"
        code, kind = 200, ""
        if error is not None:
            failed = error.kind if isinstance(error, PenstockError) else Kind.INTERNAL
            code, kind = TABLE[failed].http, failed.name
            chosen = failed is Kind.DEADLINE and timeline.hurried
            timeline.by_client = chosen or TABLE[failed].fault == "client"
        self.audit.request(model, face, code, timeline, kind)
        now = self.clock()
        # Above the metrics, whose exemplars are of requests that have a trace.
        self.tracer.over(timeline, model=model, face=face, code=code, error=kind, now=now)
        self.log(model, face, code, kind, timeline, now)
        self.metrics.requests.observe(timeline.route, model, face, code, timeline, now)
        self.metrics.language.observe(model, timeline, now)
        if code >= 400 or now - timeline.start > self.noted.floor:
            ended = Ended(model, face, code, kind, timeline, now)
            self.noted.note(ended, now - timeline.start)
        if timeline.principal is not None and _used(timeline, error):
            self.usage.add(timeline.principal.tenant, model, timeline)
        # What was not executed for this request says nothing of its arm; and before every backend
        # has had the time to join, none of them is to blame.
        executed = timeline.arm and timeline.route and timeline.cache not in REUSED
        if executed and (error is None or self.table.settled):
            self.arms.observe(timeline, error)


def usable_id(value: bytes) -> str:
    """The client's id of a request if a log line can bear it, else none."""
    if len(value) > 128 or not value.replace(b"-", b"").replace(b"_", b"").isalnum():
        return ""
    return value.decode("ascii")


def _used(timeline: Timeline, error: Exception | None) -> bool:
    """Whether the request was executed, as far as anybody knows, or answered from what was kept."""
    used = timeline.used
    if used.device_seconds or used.prompt_tokens or used.completion_tokens or timeline.answered:
        return True
    if isinstance(error, PenstockError) and error.row.retry == "elsewhere":
        return False  # a backend, or whatever stands before it, refused
    return timeline.began > 0.0 or (timeline.cache in REUSED and error is None)


def client_gone() -> PenstockError:
    """How a request counts whose client didn't wait for the answer."""
    return PenstockError(Kind.CANCELLED, "the client went away")
