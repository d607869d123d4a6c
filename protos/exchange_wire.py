"""The wire format of `exchange.proto` where it is framed by hand: varints, tensors, parameters.

An encoded message is the concatenation of its fields, in any order, and a message field is its tag,
its length and its encoding. So what hardly varies (a tensor's head) is encoded once and remembered,
and tensors' bytes are copied only where the pieces are joined.
"""

from collections.abc import Iterable
from functools import lru_cache

from protos import exchange_pb2 as pb
from protos.errors import invalid
from protos.values import NO_PARAMETERS, Parameters, Tensor
from protos.wording import quote

INT64 = range(-(1 << 63), 1 << 63)

# Field number << 3 | wire type (0 a varint, 2 a length and so many bytes).
_TENSOR_DATA = b"\x22"


def _encode_varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_VARINTS = [_encode_varint(number) for number in range(1 << 14)]


def varint(number: int) -> bytes:
    return _VARINTS[number] if 0 <= number < 1 << 14 else _encode_varint(number)


@lru_cache(4096)
def _tensor_head(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """A tensor's encoding up to the length of its data."""
    head = pb.Tensor(name=name, datatype=datatype, shape=shape)
    return head.SerializeToString() + _TENSOR_DATA


def add_tensors(pieces: list[bytes], tag: bytes, tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        head = _tensor_head(tensor.name, tensor.datatype, tensor.shape)
        data = tensor.data
        size = varint(len(data))
        # bytes.join takes any buffer; the annotation of a bytes list keeps the callers simple.
        pieces += (tag, varint(len(head) + len(size) + len(data)), head, size, data)  # type: ignore[arg-type]


def parameter(value: bool | int | float | str) -> pb.Parameter:
    if isinstance(value, bool):
        return pb.Parameter(bool_value=value)
    if isinstance(value, int):
        return pb.Parameter(int_value=value) if value in INT64 else pb.Parameter(uint_value=value)
    if isinstance(value, str):
        return pb.Parameter(string_value=value)
    return pb.Parameter(double_value=value)


def read_parameters(message: pb.Call | pb.Part) -> Parameters:
    if not message.parameters:
        return NO_PARAMETERS
    found: dict[str, bool | int | float | str] = {}
    for name, parameter in message.parameters.items():
        which = parameter.WhichOneof("value")
        if which is None:
            raise invalid(f"parameters: {quote(name)} has no value")
        found[name] = getattr(parameter, which)
    return found
