"""Values to and from the messages of `exchange.proto`, for both ends of the exchange.

Every request passes here four times, so what is written is framed by hand (protos/exchange_wire.py)
where protobuf would copy or encode the same again; what is read goes through protobuf and is
checked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from google.protobuf.message import DecodeError

from protos import exchange_pb2 as pb
from protos.arrays import mismatch, to_array
from protos.datatypes import Array
from protos.errors import Kind, PenstockError, invalid
from protos.exchange_objects import IN_CALL, IN_PART, add_object, read_object
from protos.exchange_wire import add_tensors, parameter, read_parameters, varint
from protos.values import (
    NO_PARAMETERS,
    InferRequest,
    OpenAi,
    Parameters,
    Part,
    Tensor,
    Tensors,
)
from protos.wording import quote

# Bytes of parts that a backend may send for a streamed call before it is given more.
INITIAL_CREDIT = 1 << 20
# Metadata under which a gateway shows the key that the backend told it when it joined.
ACCESS_KEY = "x-penstock-access-key"

# Tags: field number << 3 | wire type (0 a varint, 2 a length and so many bytes).
_FRAME_CALL = b"\x0a"
_FRAME_CANCELS = b"\x12"
_FRAME_CREDIT = b"\x1a"
_CALL_ID = b"\x08"
_CALL_REQUEST_ID = b"\x22"
_CALL_INPUT = b"\x2a"
_CALL_TRACEPARENT = b"\x4a"
_CALL_REMAINING = b"\x78"
_FRAME_PART = b"\x0a"
_PART_ID = b"\x08"
_PART_OUTPUT = b"\x32"
_PART_FINAL = b"\x48\x01"
_PART_TIMING = b"\x52"


# --- the gateway's side ---------------------------------------------------------------------------


@lru_cache(4096)
def _call_head(
    model: str,
    version: str,
    tenant: str,
    outputs: tuple[str, ...],
    priority: int,
    flags: tuple[bool, bool, bool],
) -> bytes:
    shadow, suspect, streaming = flags
    return pb.Call(
        model=model,
        version=version,
        tenant=tenant,
        outputs=outputs,
        priority=priority,
        shadow=shadow,
        suspect=suspect,
        streaming=streaming,
    ).SerializeToString()


def encode_call(call_id: int, request: InferRequest) -> bytes:
    """The call without its remaining time, which `stamp` appends when the frame is written.

    Model and version are the target's if the request has one. `call_id` is unique in its stream.
    """
    context = request.context
    target = context.target
    payload = request.payload
    pieces = [
        _call_head(
            target.model if target else request.model,
            target.version if target else request.version,
            context.principal.tenant,
            payload.wanted,
            context.priority,
            (context.shadow, context.suspect, context.streaming),
        ),
        _CALL_ID,
        varint(call_id),
    ]
    if request.id:
        text = request.id.encode()
        pieces += (_CALL_REQUEST_ID, varint(len(text)), text)
    if context.traceparent:
        text = context.traceparent.encode()
        pieces += (_CALL_TRACEPARENT, varint(len(text)), text)
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


def decode_parts(frame: bytes) -> list[tuple[int, Part | PenstockError, bool]]:
    """The parts of a ReplyFrame: the call's id, the part or what failed, whether it was executed.

    A part that can't be read, such as tensors that disagree with themselves, is a BAD_REPLY of its
    call. Raises PenstockError BAD_REPLY for bytes that are no ReplyFrame at all.
    """
    try:
        parts = pb.ReplyFrame.FromString(frame).parts
    except DecodeError:
        raise PenstockError(Kind.BAD_REPLY, "the backend sent an undecodable frame") from None
    return [_decode_part(part) for part in parts]


def _decode_part(part: pb.Part) -> tuple[int, Part | PenstockError, bool]:
    if part.status:
        return part.id, _failure(part), part.executed
    timing = part.timing
    try:
        parameters = read_parameters(part)
        payload = read_object(part) if part.object else _outputs(part)
    except PenstockError as error:
        why = f"the backend's reply is wrong: {error.message}"
        return part.id, PenstockError(Kind.BAD_REPLY, why), True
    value = Part(
        payload,
        part.model_version,
        parameters,
        part.final,
        timing.queue_us,
        timing.compute_us,
        timing.batch_rows,
    )
    return part.id, value, True


def _outputs(part: pb.Part) -> Tensors:
    tensors = []
    for message in part.outputs:
        tensor = Tensor(message.name, message.datatype, tuple(message.shape), message.data)
        why = mismatch(tensor)
        if why is not None:
            raise invalid(f"output {quote(tensor.name)}: {why}")
        tensors.append(tensor)
    if len(tensors) > 1 and len({tensor.name for tensor in tensors}) < len(tensors):
        raise invalid("two outputs have the same name")
    return Tensors(tuple(tensors))


def _failure(part: pb.Part) -> PenstockError:
    try:
        kind = Kind(part.status)
    except ValueError:
        why = f"the backend's reply is wrong: it has the unknown status {part.status}"
        return PenstockError(Kind.BAD_REPLY, why)
    after = part.retry_after_ms / 1000 if part.retry_after_ms else None
    return PenstockError(kind, part.message, retry_after=after, param=part.param, code=part.code)


# --- the backend's side ---------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class Requests:
    """What a RequestFrame holds; a call that cannot be read is its id and why it is refused."""

    calls: list[Call | tuple[int, PenstockError]]
    cancels: list[int]
    credits: list[tuple[int, int]]  # id, bytes


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
    )


def encode_part(
    call_id: int,
    outputs: Iterable[Tensor] | OpenAi,
    version: str,
    *,
    final: bool = True,
    parameters: Parameters = NO_PARAMETERS,
    queue_us: int = 0,
    compute_us: int = 0,
    batch_rows: int = 0,
    padded_rows: int = 0,
) -> bytes:
    """One part of a call's reply: outputs, or an object of OpenAI's API."""
    timing = pb.Timing(
        queue_us=queue_us, compute_us=compute_us, batch_rows=batch_rows, padded_rows=padded_rows
    ).SerializeToString()
    pieces = [_part_head(version), _PART_ID, varint(call_id), _PART_TIMING]
    pieces += (varint(len(timing)), timing)
    if final:
        pieces.append(_PART_FINAL)
    if parameters:
        message = pb.Part(parameters={k: parameter(v) for k, v in parameters.items()})
        pieces.append(message.SerializeToString())
    if isinstance(outputs, OpenAi):
        add_object(pieces, IN_PART, outputs)
    else:
        add_tensors(pieces, _PART_OUTPUT, outputs)
    return b"".join(pieces)


@lru_cache(1024)
def _part_head(version: str) -> bytes:
    return pb.Part(model_version=version, executed=True).SerializeToString()


def encode_failure(call_id: int, error: PenstockError, *, executed: bool) -> bytes:
    """The final part of a call that failed; `executed` says whether a batch held it."""
    after = error.retry_after
    return pb.Part(
        id=call_id,
        status=error.kind,
        message=error.message.encode(errors="replace").decode(),
        executed=executed,
        retry_after_ms=max(1, round(after * 1000)) if after is not None else 0,
        final=True,
        param=error.param,
        code=error.code,
    ).SerializeToString()


def reply_frame(parts: Sequence[bytes]) -> bytes:
    """A ReplyFrame of encoded parts."""
    pieces: list[bytes] = []
    for part in parts:
        pieces += (_FRAME_PART, varint(len(part)), part)
    return b"".join(pieces)
