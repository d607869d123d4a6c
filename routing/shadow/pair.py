"""A mirrored request with its answers, on its way to becoming a record."""

from collections.abc import Callable
from dataclasses import dataclass, field

from protos.route.mirror import Mirror
from protos.route.snapshot import RouteSnapshot
from protos.values import InferRequest, OpenAi
from routing.shadow.capture import NO_ROOM, NOT_KEPT, Capture
from routing.shadow.record import Status

SHAPE_LENGTH = 200  # characters

BUSY = "the candidate refused it, as it was too busy"
GONE = "the client went away"


@dataclass(slots=True)
class MirrorCounts:
    """One mirror's copies; all but `sent`, `noise_sent` and `in_flight` count pairs by status."""

    sent: int = 0
    noise_sent: int = 0
    in_flight: int = 0
    dropped: int = 0
    failed: int = 0
    primary_failed: int = 0
    compared: int = 0
    incomparable: int = 0

    def add(self, status: Status) -> None:
        """Counts a pair; the comparing thread alone does, so that no count has two writers."""
        match status:
            case "compared":
                self.compared += 1
            case "candidate_failed":
                self.failed += 1
            case "primary_failed":
                self.primary_failed += 1
            case "incomparable":
                self.incomparable += 1
            case "dropped":
                self.dropped += 1


@dataclass(slots=True)
class Pair:
    """A mirrored request on its way to becoming a record. The event loop's until it is submitted.

    `open` counts what is still under way: the primary, the sending of copies, and each copy.
    """

    route: RouteSnapshot
    rule: Mirror
    counts: MirrorCounts
    at: float
    submit: Callable[["Pair"], None]
    primary: Capture = field(init=False)
    candidate: Capture | None = None
    noise: Capture | None = None
    open: int = 2
    arm: str = ""
    primary_version: str = ""
    version: str = ""
    tenant: str = ""
    trace_id: str = ""
    request_id: str = ""
    shape: str = ""
    held: int = 0  # bytes of the room, for the inputs
    dropped: str = ""  # why it was

    def describe(self, request: InferRequest) -> None:
        """What goes into the record of the request, which is nothing of its content."""
        context = request.context
        self.arm = context.target.arm if context.target else ""
        self.primary_version = request.version
        self.tenant = context.principal.tenant
        self.trace_id = context.traceparent[3:35]
        self.request_id = request.id
        self.shape = shape_of(request)

    def drop(self, why: str) -> None:
        """Neither answer needs to be kept any more."""
        self.dropped = self.dropped or why
        for capture in (self.primary, self.candidate, self.noise):
            if capture is not None:
                capture.discard()

    def forget(self) -> None:
        """This request wasn't to be mirrored after all: there will be no record."""
        self.drop(NOT_KEPT)
        self.submit = _nothing

    def ended(self) -> None:
        """One of those that were under way is over."""
        self.open -= 1
        if not self.open:
            self.submit(self)

    def verdict(self) -> tuple[Status | None, str]:
        """The status and why, as far as it is known without a comparison; None asks for one."""
        candidate = self.candidate
        if self.primary.error:
            return "primary_failed", GONE if self.primary.error == "cancelled" else ""
        if self.dropped or candidate is None:
            return "dropped", self.dropped
        if candidate.error == "overloaded":
            # The lowest priority is refused first: this is about the load, not about the candidate.
            return "dropped", BUSY
        if candidate.error:
            return "candidate_failed", ""
        missing = self.primary.missing or candidate.missing
        if missing == NO_ROOM:
            return "dropped", missing
        return ("incomparable", missing) if missing else (None, "")


def rollout_of(route: RouteSnapshot, mirror: Mirror) -> str:
    """The rollout under way if it is its candidate that is mirrored, whoever asked for the mirror.

    A route's own mirror of the candidate is evidence for the rollout like that of a mirror step.
    """
    candidate = route.arm(route.spec.candidate or "") if route.rollout else None
    if candidate is None or (candidate.model, candidate.version) != (mirror.model, mirror.version):
        return ""
    return route.rollout


def shape_of(request: InferRequest) -> str:
    """The inputs as a person writes them: `x FP32[1,64]`, several joined by a comma.

    Of OpenAI's objects only which one it is: `Chat`.
    """
    if isinstance(request.payload, OpenAi):
        return type(request.payload).__name__
    text = ", ".join(
        [
            f"{tensor.name} {tensor.datatype}[{','.join(map(str, tensor.shape))}]"
            for tensor in request.payload.tensors[:SHAPE_LENGTH]
        ]
    )
    return text if len(text) <= SHAPE_LENGTH else text[: SHAPE_LENGTH - 1] + "…"


def _nothing(pair: Pair) -> None:
    return None
