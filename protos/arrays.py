"""Between canonical bytes and NumPy arrays, held against datatype and shape on the way.

Arrays have the dtypes of `protos.datatypes`: BF16 as uint16 bits, BYTES as object arrays of
`bytes`.
"""

import struct
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from protos.datatypes import DATATYPES, NAMES, Array
from protos.errors import Kind, PenstockError, invalid
from protos.values import Bytes, Tensor
from protos.wording import did_you_mean, quote

MAX_ELEMENTS = 1 << 31
MAX_DIMENSIONS = 64  # NumPy's own

# From here on a view of the array costs less than a copy of it.
_VIEW_BYTES = 16 * 1024
_LENGTH = struct.Struct("<I")


@lru_cache(4096)
def count(shape: tuple[int, ...]) -> int:
    """The number of elements of a shape.

    Raises ValueError with a sentence for a negative dimension or a shape too large to exist; a
    dimension of zero does not hide the others from that.
    """
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"shape has {len(shape)} dimensions, more than {MAX_DIMENSIONS}")
    product = 1
    empty = False
    for size in shape:
        if size < 0:
            raise ValueError(f"shape has a negative dimension, {size}")
        if size:
            product *= size
            if product > MAX_ELEMENTS:
                raise ValueError(f"shape has more than {MAX_ELEMENTS} elements")
        else:
            empty = True
    return 0 if empty else product


def mismatch(tensor: Tensor) -> str | None:
    """Why the tensor's data is not what its datatype and shape say, or None if all is well.

    The answer is the rest of a sentence that begins with the tensor's name.
    """
    row = DATATYPES.get(tensor.datatype)
    if row is None:
        return unknown_datatype(tensor.datatype)
    try:
        elements = count(tensor.shape)
    except ValueError as error:
        return str(error)
    data = tensor.data
    if row.itemsize:
        if len(data) != elements * row.itemsize:
            return (
                f"shape {list(tensor.shape)} of {row.name} takes {elements * row.itemsize} bytes, "
                f"the data has {len(data)}"
            )
        if row.kind == "bool" and elements and np.frombuffer(data, np.uint8).max() > 1:
            return "BOOL takes one byte for each element, 0 or 1"
        return None
    try:
        found = count_bytes(data)
    except ValueError as error:
        return str(error)
    if found != elements:
        return f"shape {list(tensor.shape)} has {elements} elements, the data has {found}"
    return None


def unknown_datatype(name: str) -> str:
    return f"there is no datatype {quote(name)}{did_you_mean(name.upper(), DATATYPES)}"


def to_array(tensor: Tensor) -> Array:
    """The tensor as an array of its shape; numeric ones are read-only views of its data.

    Raises PenstockError INVALID, naming the tensor, if the data disagrees with datatype and shape.
    """
    why = mismatch(tensor)
    if why is not None:
        raise invalid(f"tensor {quote(tensor.name)}: {why}")
    row = DATATYPES[tensor.datatype]
    if row.itemsize:
        return np.frombuffer(tensor.data, row.dtype).reshape(tensor.shape)
    array = np.empty(count(tensor.shape), object)
    array[:] = split_bytes(tensor.data)
    return array.reshape(tensor.shape)


def to_tensor(name: str, array: Array, datatype: str = "") -> Tensor:
    """The array in canonical bytes; without a `datatype`, the one that its dtype stands for.

    Large data stays a view of the array, which must not change while the tensor lives. Elements of
    object arrays are `bytes`, or `str` that becomes UTF-8. Raises PenstockError BAD_REPLY if the
    array is of another datatype, for it is models that make arrays.
    """
    row = DATATYPES.get(datatype or NAMES.get(array.dtype, ""))
    if row is None or row.dtype != array.dtype:
        raise PenstockError(
            Kind.BAD_REPLY,
            f"tensor {quote(name)}: the model gave an array of {array.dtype}"
            + (f", its signature says {datatype}" if datatype else ""),
        )
    data: Bytes
    if not row.itemsize:
        try:
            data = join_bytes(_as_bytes(element) for element in array.ravel())
        except (TypeError, ValueError, struct.error) as error:
            raise PenstockError(Kind.BAD_REPLY, f"tensor {quote(name)}: {error}") from None
    elif array.nbytes < _VIEW_BYTES:
        data = array.tobytes()
    else:
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return Tensor(name, row.name, array.shape, data)


def _as_bytes(element: object) -> bytes:
    if isinstance(element, bytes):
        return element
    if isinstance(element, str):
        return element.encode()
    raise TypeError(f"elements of BYTES are bytes, the model gave {type(element).__name__}")


def count_bytes(data: Bytes) -> int:
    """The number of elements in the canonical form of BYTES, whose lengths must fit exactly.

    Raises ValueError with a sentence if they don't.
    """
    elements = at = 0
    end = len(data)
    length_at = _LENGTH.unpack_from
    try:
        while at < end:
            at += 4 + length_at(data, at)[0]
            elements += 1
    except struct.error:
        raise ValueError(f"the length before element {elements} is cut off") from None
    if at != end:
        raise ValueError(f"the length before element {elements - 1} reaches beyond the data")
    return elements


def split_bytes(data: Bytes) -> list[bytes]:
    """The elements of the canonical form of BYTES; `data` has passed `count_bytes`."""
    elements = []
    at = 0
    end = len(data)
    length_at = _LENGTH.unpack_from
    while at < end:
        start = at + 4
        at = start + length_at(data, at)[0]
        elements.append(bytes(data[start:at]))
    return elements


def join_bytes(elements: Iterable[bytes]) -> bytes:
    """The canonical form of BYTES: 4-byte little-endian length before each element."""
    pieces: list[bytes] = []
    length = _LENGTH.pack
    for element in elements:
        pieces.append(length(len(element)))
        pieces.append(element)
    return b"".join(pieces)
