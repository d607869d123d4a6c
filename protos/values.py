"""The values that travel through Penstock: decoded once at the edge, frozen, without I/O.

`Tensor.data` holds raw little-endian bytes in row-major order (the Open Inference Protocol's binary
form); BYTES elements carry a 4-byte little-endian length each. That form is canonical: no face, no
policy and no cache sees any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar

from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.timeline import Target, Timeline

Bytes = bytes | bytearray | memoryview
Parameters = Mapping[str, bool | int | float | str]

NO_PARAMETERS: Parameters = {}

# As the transport gave them: names in small letters, several of one name possible.
Headers = Sequence[tuple[bytes, bytes]]


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
    # Asked by the gateway itself for a request that has a place already and waits for the answer.
    inner: bool = False


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
    padded_rows: int = 0


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
