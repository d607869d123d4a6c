"""Parts of replies on the exchange: as backends write them, and as gateways read and check them.

Framed by hand and read by protobuf, as calls are (protos/exchange_calls.py).
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from google.protobuf.message import DecodeError

from protos import exchange_pb2 as pb
from protos.arrays import mismatch
from protos.errors import Kind, PenstockError, Timing, invalid
from protos.exchange_objects import IN_PART, add_object, read_object
from protos.exchange_wire import add_tensors, parameter, read_parameters, varint
from protos.values import NO_PARAMETERS, OpenAi, Parameters, Part, Tensor, Tensors
from protos.wording import quote

# Bytes of parts that a backend may send for a streamed call before it is given more.
INITIAL_CREDIT = 1 << 20

# Characters of a failure's sentence, and of the names beside it, that are told on; what is behind
# them is a backend's mistake, and no reason to lose what it says.
_LONGEST_SENTENCE = 2048
_LONGEST_NAME = 256

# Tags: field number << 3 | wire type (0 a varint, 2 a length and so many bytes).
_FRAME_PART = b"\x0a"
_PART_ID = b"\x08"
_PART_OUTPUT = b"\x32"
_PART_FINAL = b"\x48\x01"
_PART_TIMING = b"\x52"


# --- the backend's side ---------------------------------------------------------------------------


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


def encode_failure(
    call_id: int, error: PenstockError, *, executed: bool, timing: Timing | None = None
) -> bytes:
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
        timing=None if timing is None else pb.Timing(**timing._asdict()),
    ).SerializeToString()


def reply_frame(parts: Sequence[bytes]) -> bytes:
    """A ReplyFrame of encoded parts."""
    pieces: list[bytes] = []
    for part in parts:
        pieces += (_FRAME_PART, varint(len(part)), part)
    return b"".join(pieces)


# --- the gateway's side ---------------------------------------------------------------------------


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
        timing.padded_rows,
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
    message = part.message or "the backend gave no reason"
    if len(message) > _LONGEST_SENTENCE:
        message = message[: _LONGEST_SENTENCE - 1] + "…"
    error = PenstockError(
        kind,
        message,
        retry_after=after,
        param=part.param[:_LONGEST_NAME],
        code=part.code[:_LONGEST_NAME],
    )
    if part.HasField("timing"):
        told = part.timing
        error.timing = Timing(told.queue_us, told.compute_us, told.batch_rows, told.padded_rows)
    return error
