"""Whether two answers to one request say the same.

Bytes need not be the same: a model's floats depend a little on what else was in its batch, and a
stream's boundaries on the time. How near floats have to be is what mirrors demand by default.
"""

from collections.abc import Iterator, Sequence
from math import isclose
from typing import Any

import numpy as np

from protos.arrays import split_bytes, to_array
from protos.route.mirror import Compare
from protos.values import JsonObject, OpenAi, Part, Tensor

_NEAR = Compare()
_Place = tuple[str | int, ...]
_Said = bytes | str | float
_FLOATS = frozenset(("FP16", "BF16", "FP32", "FP64"))


def same(one: Sequence[Part], other: Sequence[Part]) -> bool:
    """Part by part, or else as a whole."""
    if len(one) == len(other) and all(map(_alike, one, other)):
        return True
    if len(one) == len(other) == 1:
        return False
    return _equal(_whole(one), _whole(other))


def _equal(one: dict[_Place, _Said], other: dict[_Place, _Said]) -> bool:
    return one.keys() == other.keys() and all(
        _close(value, other[place]) for place, value in one.items()
    )


def _close(one: _Said, other: _Said) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=_NEAR.rtol, abs_tol=_NEAR.atol)
    return one == other


def _alike(one: Part, other: Part) -> bool:
    if isinstance(one.payload, OpenAi) or isinstance(other.payload, OpenAi):
        return _equal(_whole((one,)), _whole((other,)))
    tensors = {tensor.name: tensor for tensor in other.payload.tensors}
    return one.version == other.version and (
        [tensor.name for tensor in one.payload.tensors] == list(tensors)
        and all(_near(tensor, tensors[tensor.name]) for tensor in one.payload.tensors)
    )


def _near(one: Tensor, other: Tensor) -> bool:
    if (one.datatype, one.shape) != (other.datatype, other.shape):
        return False
    if one.data == other.data:
        return True
    if one.datatype not in _FLOATS:
        return False
    near = np.isclose(
        _floats(one), _floats(other), rtol=_NEAR.rtol, atol=_NEAR.atol, equal_nan=True
    )
    return bool(near.all())


def _floats(tensor: Tensor) -> Any:
    array = to_array(tensor)
    if tensor.datatype == "BF16":  # the upper half of an FP32
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float64)


def _whole(parts: Sequence[Part]) -> dict[_Place, _Said]:
    """What the parts say when they are put together: bytes or text by output or place."""
    pieces: dict[_Place, list[Any]] = {}
    for part in parts:
        payload = part.payload
        if isinstance(payload, OpenAi):
            for place, leaf in _leaves_of(payload.body):
                pieces.setdefault(place, []).append(leaf)
        else:
            for tensor in payload.tensors:
                data = bytes(tensor.data)
                if tensor.datatype == "BYTES":
                    data = b"".join(split_bytes(data))
                pieces.setdefault((tensor.name, tensor.datatype), []).append(data)
    return {place: _joined(said) for place, said in pieces.items()}


def _joined(pieces: list[Any]) -> _Said:
    if len(pieces) == 1:
        only: _Said = pieces[0]
        return only
    return b"".join(pieces) if isinstance(pieces[0], bytes) else "".join(map(str, pieces))


def _leaves_of(body: JsonObject) -> Iterator[tuple[_Place, str | float]]:
    """What `choices` or `data` hold; ids, times and usage differ between equals."""
    for name in ("choices", "data"):
        yield from _leaves(body.get(name), (name,))


def _leaves(value: Any, place: _Place) -> Iterator[tuple[_Place, str | float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("id", "index"):
                yield from _leaves(inner, (*place, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            # Choices and tool calls come in pieces, each with its index.
            index = inner.get("index") if isinstance(inner, dict) else None
            yield from _leaves(inner, (*place, index if type(index) is int else at))
    elif isinstance(value, float):
        yield place, value
    elif value is not None:
        yield place, str(value)
