"""Calls on the exchange: as gateways write them, and as backends read and check them.

Every request passes here, so what is written is framed by hand (protos/exchange_wire.py) where
protobuf would copy or encode the same again; what is read goes through protobuf and is checked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from google.protobuf.message import DecodeError

from protos import exchange_pb2 as pb
from protos.arrays import to_array
from protos.datatypes import Array
from protos.errors import PenstockError, invalid
from protos.exchange_objects import IN_CALL, add_object, read_object
from protos.exchange_wire import add_tensors, parameter, read_parameters, varint
from protos.trace_context import child
from protos.values import InferRequest, OpenAi, Parameters, Tensor, Tensors
from protos.wording import quote

# Metadata under which a gateway shows the key that the backend told it when it joined.
ACCESS_KEY = "x-penstock-access-key"

# Tags: field number << 3 | wire type (0 a varint, 2 a length and so many bytes).
_FRAME_CALL = b"\x0a"
_FRAME_CANCELS = b"\x12"
_FRAME_CREDIT = b"\x1a"
_CALL_ID = b"\x08"
_CALL_REQUEST_ID = b"\x22"
_CALL_INPUT = b"\x2a"
_CALL_OUTPUT = b"\x32"
_CALL_TRACEPARENT = b"\x4a"
_CALL_REMAINING = b"\x78"
_CALL_TRACESTATE = b"\x92\x01"


@dataclass(frozen=True, slots=True)
class Call:
    """One call as a backend reads it; fields as in `exchange.proto`.

    `inputs` are read-only arrays of their tensors' shapes, by name; `datatypes` tells BF16 from
    UINT16. `remaining_us` 0 means that there is no deadline. `openai` is the object of a call that
    has one in place of inputs.
    """

    id: int
    model: str
    version: str
    request_id: str
    inputs: dict[str, Array]
    datatypes: dict[str, str]
    wanted: tuple[str, ...]
    parameters: Parameters
    tenant: str
    traceparent: str
    priority: int
    shadow: bool
    suspect: bool
    streaming: bool
    remaining_us: int
    openai: OpenAi | None = None
    tracestate: str = ""


@dataclass(frozen=True, slots=True)
class Requests:
    """What a RequestFrame holds; a call that cannot be read is its id and why it is refused."""

    calls: list[Call | tuple[int, PenstockError]]
    cancels: list[int]
    credits: list[tuple[int, int]]  # id, bytes


# --- the gateway's side ---------------------------------------------------------------------------


def encode_call(call_id: int, request: InferRequest, span_id: int = 0) -> bytes:
    """The call without its remaining time, which `stamp` appends when the frame is written.

    Model and version are the target's if the request has one. `call_id` is unique in its stream.
    `span_id` is the parent of the backend's spans, if it isn't that of the request.
    """
    context = request.context
    target = context.target
    payload = request.payload
    pieces = [
        _call_head(
            target.model if target else request.model,
            target.version if target else request.version,
            context.principal.tenant,
            context.priority,
            (context.shadow, context.suspect, context.streaming),
        ),
        _CALL_ID,
        varint(call_id),
    ]
    for name in payload.wanted:
        text = name.encode()
        pieces += (_CALL_OUTPUT, varint(len(text)), text)
    if request.id:
        text = request.id.encode()
        pieces += (_CALL_REQUEST_ID, varint(len(text)), text)
    if context.traceparent:
        text = (child(context.traceparent, span_id) if span_id else context.traceparent).encode()
        pieces += (_CALL_TRACEPARENT, varint(len(text)), text)
    if context.timeline.tracestate:
        text = context.timeline.tracestate.encode()
        pieces += (_CALL_TRACESTATE, varint(len(text)), text)
    if request.parameters:
        message = pb.Call(parameters={k: parameter(v) for k, v in request.parameters.items()})
        pieces.append(message.SerializeToString())
    if isinstance(payload, Tensors):
        add_tensors(pieces, _CALL_INPUT, payload.tensors)
    else:
        add_object(pieces, IN_CALL, payload)
    return b"".join(pieces)


def stamp(call: bytes, remaining_us: int) -> bytes:
    """The call with its remaining time in microseconds; 0 means that it has no deadline."""
    return call + _CALL_REMAINING + varint(remaining_us) if remaining_us else call


def frame(
    calls: Sequence[bytes],
    cancels: Sequence[int] = (),
    credits: Sequence[tuple[int, int]] = (),
) -> bytes:
    """A RequestFrame of encoded calls, ids of cancelled calls, and (id, bytes) of new credit."""
    pieces: list[bytes] = []
    for call in calls:
        pieces += (_FRAME_CALL, varint(len(call)), call)
    if cancels:
        packed = b"".join([varint(call_id) for call_id in cancels])
        pieces += (_FRAME_CANCELS, varint(len(packed)), packed)
    for call_id, room in credits:
        credit = pb.Credit(id=call_id, bytes=room).SerializeToString()
        pieces += (_FRAME_CREDIT, varint(len(credit)), credit)
    return b"".join(pieces)


@lru_cache(4096)
def _call_head(
    model: str, version: str, tenant: str, priority: int, flags: tuple[bool, bool, bool]
) -> bytes:
    """What calls have in common. Names of outputs are not in it: clients choose them freely."""
    shadow, suspect, streaming = flags
    return pb.Call(
        model=model,
        version=version,
        tenant=tenant,
        priority=priority,
        shadow=shadow,
        suspect=suspect,
        streaming=streaming,
    ).SerializeToString()


# --- the backend's side ---------------------------------------------------------------------------


def decode_requests(frame: bytes) -> Requests:
    """Raises PenstockError INVALID for bytes that are no RequestFrame at all."""
    try:
        message = pb.RequestFrame.FromString(frame)
    except DecodeError:
        raise invalid("the frame is no penstock.v1.RequestFrame") from None
    return Requests(
        [_decode_call(call) for call in message.calls],
        list(message.cancels),
        [(credit.id, credit.bytes) for credit in message.credits],
    )


def _decode_call(call: pb.Call) -> Call | tuple[int, PenstockError]:
    inputs = {}
    datatypes = {}
    try:
        for message in call.inputs:
            name = message.name
            if name in inputs:
                raise invalid(f"inputs: {quote(name)} is there twice")
            datatype = message.datatype
            inputs[name] = to_array(Tensor(name, datatype, tuple(message.shape), message.data))
            datatypes[name] = datatype
        parameters = read_parameters(call)
        openai = read_object(call) if call.object else None
    except PenstockError as error:
        return call.id, error
    return Call(
        call.id,
        call.model,
        call.version,
        call.request_id,
        inputs,
        datatypes,
        tuple(call.outputs),
        parameters,
        call.tenant,
        call.traceparent,
        call.priority,
        call.shadow,
        call.suspect,
        call.streaming,
        call.remaining_us,
        openai,
        call.tracestate,
    )
