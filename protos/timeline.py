"""Where a request goes, and what it has met on its way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot


@dataclass(frozen=True, slots=True)
class Target:
    """The arm, model and exact version that serve a request."""

    arm: str
    model: str
    version: str


class Quota(NamedTuple):
    """What is left of the limit that is nearest to its end; `window` and `reset` in seconds.

    Told to clients as draft-ietf-httpapi-ratelimit-headers has it. `window` is 0 for a limit of
    what is under way.
    """

    policy: str
    limit: int
    window: int
    remaining: int
    reset: float


@dataclass(slots=True)
class Used:
    """What a request has used of the backend that answered, as far as it has come."""

    device_seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens_told: bool = False  # by the backend, rather than counted here
    compute_us: int = 0  # of the whole batch, as the last part told it
    cached_tokens: int = 0  # of the prompt's, those that the model had cached


@dataclass(slots=True)
class Attempt:
    """One attempt at a backend. Times are the timeline's; 0 for what has not happened.

    `span_id` is made up front where the trace is sampled, as the backend's spans stand below it.
    """

    instance: str
    target: Target | None
    number: int  # 1 for the first
    began: float
    span_id: int = 0
    shadow: bool = False
    suspect: bool = False
    inner: bool = False  # asked by the gateway itself, such as a classifier
    hedged: bool = False
    answered: float = 0.0  # the first part
    ended: float = 0.0  # the last one, or the failure
    error: str = ""  # the kind of failure; CANCELLED if nobody waited any more
    parts: int = 0
    queue_us: int = 0
    compute_us: int = 0
    batch_rows: int = 0
    padded_rows: int = 0

    def learn(self, queue_us: int, compute_us: int, batch_rows: int, padded_rows: int) -> None:
        """What another part tells, or a failure, which is up to itself."""
        self.queue_us = queue_us
        self.compute_us = compute_us
        self.batch_rows = batch_rows
        self.padded_rows = padded_rows

    def end(self, now: float, error: str = "") -> None:
        """The last part has come, or none will."""
        if not self.ended:
            self.ended, self.error = now, error


class Wait(NamedTuple):
    """A stage in which a request waited; `behind` is the traceparent of whom it waited for."""

    stage: str
    began: float
    ended: float
    behind: str = ""


@dataclass(slots=True)
class Timeline:
    """Monotonic times in seconds at which a request passed each stage, and the backend's own.

    The one mutable value of a request: marks are recorded for every request, spans and the
    `server-timing` header are built from them only when somebody looks.
    """

    start: float
    marks: list[tuple[str, float]] = field(default_factory=list)
    queue_us: int = 0
    compute_us: int = 0
    batch_rows: int = 0
    instances: list[str] = field(default_factory=list)  # one an attempt
    attempts: list[Attempt] = field(default_factory=list)  # those of its classifiers, too
    waits: list[Wait] = field(default_factory=list)
    route: str = ""
    rollout: str = ""  # that was under way
    arm: str = ""  # that served, or was to serve
    pinned: bool = False  # whether the client chose it, by a version
    fell_back: bool = False  # to that arm, from one that could not be reached any more
    arm_shown: bool = False  # whether the client may know it
    began: float = 0.0  # when a backend was first asked
    answered: float = 0.0  # when the first part was there
    # Whether the client itself chose the deadline of the first part, and that of the whole.
    first_by_client: bool = False
    whole_by_client: bool = False
    # Whether it failed by the client's own doing: what it sent, or a deadline that it chose.
    by_client: bool = False
    quota: Quota | None = None
    # hit, coalesced (with an equal request), miss or bypass; empty where no answers are kept.
    cache: str = ""
    cache_age: float = 0.0  # seconds, of a hit
    found: Mapping[str, int] | None = None  # how often each entity was found, in both directions
    used: Used = field(default_factory=Used)
    model: str = ""  # as the client named it, where a body and not a path says so
    # For the audit log, which is told of a request when it is over.
    principal: Principal | None = None
    snapshot: RouteSnapshot | None = None
    target: Target | None = None
    request_id: str = ""
    named_here: bool = False  # whether the face made that id, rather than the client
    operation: str = ""  # of the face: a method and a path's template, or a gRPC method
    parent: str = ""  # the client's traceparent
    tracestate: str = ""
    traceparent: str = ""  # the request's own, which travels on
    sampled_trace: str = ""  # the id of its trace, where that is kept
    streaming: bool = False  # whether the client reads parts
    rows: int = 0
    screened: Mapping[str, int] | None = None  # what the output policy found in the reply
    refused: str = ""  # the filter that refused the request, if one did

    @property
    def prompt_tokens(self) -> int:
        return self.used.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        return self.used.completion_tokens

    @property
    def told_id(self) -> str:
        """The request's id for logs and spans. Not one that its client made, where the route has a
        privacy policy: numbers of people's accounts and telephones serve as such ids."""
        route = self.snapshot
        hidden = route is not None and route.spec.privacy is not None and not self.named_here
        return "" if hidden else self.request_id

    @property
    def executed_us(self) -> int:
        """Of batches: of a stream it grows with every part, also if another attempt made them."""
        return max(self.compute_us, self.used.compute_us)

    @property
    def hurried(self) -> bool:
        """Whether the next deadline is the client's own, which passes through nobody's fault."""
        return self.whole_by_client if self.answered else self.first_by_client

    def waited_for(self, now: float) -> float:
        """Seconds that the client has waited by `now`: for a stream, until its first part."""
        end = self.answered if self.streaming and self.answered else now
        return end - self.start

    def mark(self, stage: str, now: float) -> None:
        self.marks.append((stage, now))

    def waited(self, stage: str, began: float, ended: float, behind: str = "") -> None:
        """It stood still; told by whoever made it wait, once it goes on."""
        self.waits.append(Wait(stage, began, ended, behind))

    def attempt(self) -> Attempt:
        """The one that begins now: whoever picks the endpoint has noted it."""
        if not self.attempts:
            self.attempts.append(Attempt("", None, 1, self.start))
        return self.attempts[-1]

    def fork(self) -> "Timeline":
        """The timeline of an execution that may outlast this request; see `adopt`."""
        return Timeline(
            self.start,
            self.marks,
            waits=self.waits,
            tracestate=self.tracestate,
            traceparent=self.traceparent,
            fell_back=self.fell_back,
            first_by_client=self.first_by_client,
            whole_by_client=self.whole_by_client,
        )

    def adopt(self, execution: "Timeline") -> None:
        """Takes over what an execution has met so far, and from now on what it uses.

        Its attempts only where it goes on under this request's traceparent, below which its
        backend's spans stand; whoever waited for another request has a link to that one.
        """
        self.queue_us = execution.queue_us
        self.compute_us = execution.compute_us
        self.batch_rows = execution.batch_rows
        self.instances = execution.instances
        if self.traceparent == execution.traceparent:
            self.attempts = execution.attempts
        self.began = execution.began
        self.answered = execution.answered
        self.used = execution.used
        self.refused = execution.refused

    def disown(self, execution: "Timeline") -> None:
        """Leaves what was used, and what came of it, to another request; but see `adopt`."""
        if self.traceparent == execution.traceparent:
            self.attempts = execution.attempts
        self.began = self.answered = 0.0
        self.used = Used()
