"""The values that travel through Penstock: decoded once at the edge, frozen, without I/O.

`Tensor.data` holds raw little-endian bytes in row-major order (the Open Inference Protocol's binary
form); BYTES elements carry a 4-byte little-endian length each. That form is canonical: no face, no
policy and no cache sees any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar, NamedTuple

from protos.route.snapshot import RouteSnapshot

Bytes = bytes | bytearray | memoryview
Parameters = Mapping[str, bool | int | float | str]

NO_PARAMETERS: Parameters = {}

# As the transport gave them: names in small letters, several of one name possible.
Headers = Sequence[tuple[bytes, bytes]]
Claims = Mapping[str, object]  # of a verified token, as JSON has them


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor; `datatype` is a key of `protos.datatypes.DATATYPES`."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Bytes

    def __repr__(self) -> str:
        return f"<Tensor {self.name} {self.datatype} {list(self.shape)}>"


@dataclass(frozen=True, slots=True)
class Tensors:
    """Tensors of a request or a reply; `wanted` names the outputs asked for (none: all)."""

    tensors: tuple[Tensor, ...]
    wanted: tuple[str, ...] = ()


JsonObject = Mapping[str, Any]  # as a JSON parser gives it; shared, so nobody may change it


@dataclass(frozen=True, slots=True)
class OpenAi:
    """An object of OpenAI's API, in a request or a reply (there the whole answer or one chunk).

    Objects are passed on with everything in them, known or not, so that a field that a server is
    the first to have reaches it. They have no tensors. `size` is how many bytes of JSON it was read
    from, or what it was made from was; 0 where nothing was read.
    """

    body: JsonObject = field(repr=False)
    size: int = field(default=0, compare=False)
    tensors: ClassVar[tuple[Tensor, ...]] = ()
    wanted: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class Chat(OpenAi):
    """`/v1/chat/completions`."""


@dataclass(frozen=True, slots=True)
class Prompt(OpenAi):
    """`/v1/completions`."""


@dataclass(frozen=True, slots=True)
class Embedding(OpenAi):
    """`/v1/embeddings`."""


Payload = Tensors | Chat | Prompt | Embedding


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: verified identity, never a claim that was only asserted."""

    subject: str
    tenant: str
    scopes: frozenset[str]
    issuer: str = ""
    claims: Claims = field(default_factory=dict, compare=False, repr=False)

    def may_infer(self, model: str) -> bool:
        """Whether a scope `infer:<pattern>` covers the model; `*` stands for any run of letters."""
        return any(_covers(scope, model) for scope in self.scopes)

    def has(self, scope: str) -> bool:
        return scope in self.scopes


def _covers(scope: str, model: str) -> bool:
    if not scope.startswith("infer:"):
        return False
    pattern = scope[6:]
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == model
    if "*" in tail:
        return False  # one star at most; such a scope is refused when a token is issued
    return len(model) >= len(head) + len(tail) and model.startswith(head) and model.endswith(tail)


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
    route: str = ""
    rollout: str = ""  # that was under way
    arm: str = ""  # that served, or was to serve
    pinned: bool = False  # whether the client chose it, by a version
    arm_shown: bool = False  # whether the client may know it
    began: float = 0.0  # when a backend was first asked
    answered: float = 0.0  # when the first part was there
    # Whether the client itself chose the deadline of the first part, and that of the whole.
    first_by_client: bool = False
    whole_by_client: bool = False
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
    traceparent: str = ""
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
    def hurried(self) -> bool:
        """Whether the next deadline is the client's own, which passes through nobody's fault."""
        return self.whole_by_client if self.answered else self.first_by_client

    def mark(self, stage: str, now: float) -> None:
        self.marks.append((stage, now))

    def fork(self) -> "Timeline":
        """The timeline of an execution that may outlast this request; see `adopt`."""
        return Timeline(
            self.start,
            self.marks,
            first_by_client=self.first_by_client,
            whole_by_client=self.whole_by_client,
        )

    def adopt(self, execution: "Timeline") -> None:
        """Takes over what an execution has met so far, and from now on what it uses."""
        self.queue_us = execution.queue_us
        self.compute_us = execution.compute_us
        self.batch_rows = execution.batch_rows
        self.instances = execution.instances
        self.began = execution.began
        self.answered = execution.answered
        self.used = execution.used
        self.refused = execution.refused

    def disown(self) -> None:
        """Leaves what was used, and what came of it, to another request."""
        self.began = self.answered = 0.0
        self.used = Used()


@dataclass(frozen=True, slots=True)
class Context:
    """What surrounds a request: who asks, where it goes, how long it may take.

    `deadline` is in seconds of the event loop's clock; infinity means none. `priority` 1 is the
    highest, 0 the model's default.
    """

    principal: Principal
    deadline: float
    timeline: Timeline
    target: Target | None = None
    traceparent: str = ""
    priority: int = 0
    shadow: bool = False
    streaming: bool = False
    suspect: bool = False  # was in flight when an instance died
    route: RouteSnapshot | None = None
    headers: Headers = field(default=(), repr=False)  # there are credentials among them
    # Of the first part, for streams; like `deadline`.
    first_deadline: float = inf


@dataclass(frozen=True, slots=True)
class InferRequest:
    """One inference; an empty `version` leaves the choice to the routing."""

    id: str
    model: str
    version: str
    payload: Payload
    parameters: Parameters = field(repr=False)
    context: Context


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a reply; a unary reply has one, which is final."""

    payload: Payload
    version: str
    parameters: Parameters
    final: bool
    queue_us: int = 0
    compute_us: int = 0
    batch_rows: int = 0


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a model says of one input or output; -1 in `shape` is any size.

    `symbols` names variable dimensions where the model does (ONNX `dim_param`, torch.export
    symbols), so that an output's length can be traced back to an input's; None for the others.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    symbols: tuple[str | None, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """A model version's interface; with `max_batch_size` > 0 dimension 0 of all tensors is rows.

    With `openai` it takes objects of OpenAI's API, beside the tensors that are listed.
    """

    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch_size: int = 0
    decoupled: bool = False
    idempotent: bool = True
    openai: bool = False
