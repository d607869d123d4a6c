"""An answer as immutable bytes: the form in which it is kept, in memory and elsewhere.

    stored, ttl         two doubles: Unix time and seconds
    length              of the head, 32 bits
    head                JSON: for each part [kind, version, parameters, final, layout]
    data                what the layouts tell the lengths of, one after the other

Heads of unary answers of one model are all alike, so what they say is remembered: reading one then
takes a µs where protobuf takes five. Nothing is pickled.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

import orjson

from protos.arrays import count
from protos.datatypes import DATATYPES
from protos.values import (
    NO_PARAMETERS,
    Chat,
    Embedding,
    JsonObject,
    OpenAi,
    Parameters,
    Part,
    Payload,
    Prompt,
    Tensor,
    Tensors,
)

_TIMES = Struct("<ddI")
_KINDS: dict[str, Callable[[JsonObject], Payload]] = {
    each.__name__: each for each in (Chat, Prompt, Embedding)
}
_COMMON_HEAD = 512  # bytes; longer ones belong to streams, which are hardly alike


class _Tensor(NamedTuple):
    name: str
    datatype: str
    shape: tuple[int, ...]
    length: int


class _Part(NamedTuple):
    kind: str
    version: str
    parameters: Parameters
    final: bool
    tensors: tuple[_Tensor, ...]
    length: int  # of an OpenAI object


def encode(parts: Sequence[Part], stored: float, ttl: float) -> bytes:
    """Raises ValueError or TypeError for what JSON can't tell exactly."""
    head: list[Any] = []
    data: list[bytes | bytearray | memoryview] = []
    for part in parts:
        payload = part.payload
        layout: Any
        if isinstance(payload, OpenAi):
            body = orjson.dumps(payload.body)
            data.append(body)
            kind, layout = type(payload).__name__, len(body)
        else:
            data += [tensor.data for tensor in payload.tensors]
            kind, layout = "", [(t.name, t.datatype, t.shape, len(t.data)) for t in payload.tensors]
        head.append((kind, part.version, _exact(part.parameters), part.final, layout))
    layouts = orjson.dumps(head)
    return b"".join((_TIMES.pack(stored, ttl, len(layouts)), layouts, *data))


def times(entry: bytes) -> tuple[float, float]:
    """When it was stored (Unix time), and for how many seconds."""
    stored, ttl, _ = _TIMES.unpack_from(entry)
    return stored, ttl


def content(entry: bytes) -> bytes:
    """All but the times: equal for equal answers."""
    return entry[16:]


def decode(entry: bytes) -> list[Part]:
    """The parts, whose data nobody can change. Raises ValueError for bytes that are no entry."""
    try:
        head_length = _TIMES.unpack_from(entry)[2]
        at = _TIMES.size + head_length
        head = entry[_TIMES.size : at]
        layout = (_common if head_length <= _COMMON_HEAD else _layout)(head)
        parts = []
        for part in layout:
            parameters = dict(part.parameters) if part.parameters else NO_PARAMETERS
            if part.kind:
                body = orjson.loads(entry[at : at + part.length])
                at += part.length
                value = _KINDS[part.kind](body)
                parts.append(Part(value, part.version, parameters, part.final))
                continue
            tensors = []
            for name, datatype, shape, length in part.tensors:
                tensors.append(Tensor(name, datatype, shape, entry[at : at + length]))
                at += length
            parts.append(Part(Tensors(tuple(tensors)), part.version, parameters, part.final))
    except Exception as failure:  # whatever foreign bytes make parsers raise
        raise ValueError("is no kept answer") from failure
    if at != len(entry) or not parts:
        raise ValueError("is no kept answer")
    return parts


def _layout(head: bytes) -> tuple[_Part, ...]:
    return tuple(_parts(orjson.loads(head)))


_common = lru_cache(1024)(_layout)


def _parts(head: list[Any]) -> Iterator[_Part]:
    for kind, version, parameters, final, layout in head:
        if kind:
            yield _Part(kind, version, parameters, final, (), layout)
        else:
            tensors = tuple(_checked(*each) for each in layout)
            yield _Part(kind, version, parameters, final, tensors, 0)


def _checked(name: str, datatype: str, shape: list[int], length: int) -> _Tensor:
    """Heads are remembered, so that asking whether they hold together costs nothing a request."""
    itemsize = DATATYPES[datatype].itemsize
    elements = count(tuple(shape))
    if length < 0 or (itemsize and length != elements * itemsize):
        raise ValueError("the shape and the data disagree")
    return _Tensor(name, datatype, tuple(shape), length)


def _exact(parameters: Parameters) -> dict[str, Any]:
    for name, value in parameters.items():
        if isinstance(value, float) and value - value != 0.0:
            raise ValueError(f"{name} is not finite")
    return dict(parameters)
