"""A tensor's `data` in REST V2's JSON, flat or nested, to canonical bytes.

Nothing is coerced: integers are JSON integers in the datatype's range, floats any JSON numbers that
stay finite, BOOL takes true and false, BYTES takes strings. FP16 and BF16 have no JSON form.
"""

from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any, Literal

import numpy as np

from protos.arrays import MAX_DIMENSIONS, join_bytes
from protos.datatypes import Array as NumpyArray
from protos.datatypes import Datatype
from protos.errors import PenstockError, invalid
from protos.json_reader import Array
from protos.json_writer import RAW_ONLY

# How simdjson flattens numbers: the code of its buffer, and that buffer's dtype.
_BUFFERS: dict[str, tuple[Literal["d", "i", "u"], str]] = {
    "float": ("d", "<f8"),
    "signed": ("i", "<i8"),
    "unsigned": ("u", "<u8"),
}


def read_data(
    data: Array, row: Datatype, shape: tuple[int, ...], elements: int, where: str
) -> bytes:
    """The canonical bytes of `data`, which has as many elements as the shape.

    `where` names the tensor in sentences. Raises PenstockError INVALID. That numbers lie in arrays
    as `shape` says is the business of `count_arrays` or `check_layout`.
    """
    fault = _fault_of(row, where)
    if row.kind in ("bytes", "bool"):
        return _pack(_flat(data, shape, elements, where, fault), row)
    numbers = _numbers(data, row, where)
    if numbers.size != elements:
        count_arrays(data, shape, where)  # says where the first gap is, if rows are ragged
        raise _wrong_count(numbers.size, shape, elements, where)
    return numbers.tobytes()


def _numbers(data: Array, row: Datatype, where: str) -> NumpyArray:
    """All numbers of the array, however nested, in the datatype."""
    code, wide = _BUFFERS[row.kind]
    try:
        numbers = np.frombuffer(data.as_buffer(of_type=code), wide)
    except (TypeError, ValueError):
        raise _first_fault(data.as_list(), where, partial(_not_number, row)) from None
    if row.dtype == numbers.dtype:
        return numbers
    with np.errstate(over="ignore"):
        narrow = numbers.astype(row.dtype)
        # A finite sum of squares proves all of it finite at a fifth of the cost of looking at each.
        if row.kind == "float" and isfinite(narrow.dot(narrow)):
            return narrow
    fits = np.isfinite(narrow) if row.kind == "float" else narrow == numbers
    if not fits.all():
        raise _first_fault(data.as_list(), where, partial(_not_number, row))
    return narrow


def count_arrays(data: Array, shape: tuple[int, ...], where: str) -> int:
    """How many JSON arrays `data` consists of if there are none where numbers are expected.

    Looks at the lengths of all arrays and so proves the layout, provided that the document has no
    more brackets than are accounted for. Raises PenstockError INVALID for ragged arrays.
    """
    if len(shape) < 2 or not len(data) or not isinstance(data[0], Array):
        return 1
    rows: list[Any] = [data]
    found = 1
    for axis, size in enumerate(shape):
        for number, row in enumerate(rows):
            if not isinstance(row, Array) or len(row) != size:
                raise _ragged(shape, axis, number, where)
        if axis < len(shape) - 1:
            rows = [inner for row in rows for inner in row]
            found += len(rows)
    return found


def check_layout(data: Array, shape: tuple[int, ...], where: str) -> None:
    """Looks at every element: `data` is flat or nested as its shape, or INVALID is raised."""
    for element in _flatten(data.as_list(), shape, where):
        if isinstance(element, list):
            raise _ragged(shape, len(shape), 0, where)


def _flat(
    data: Array,
    shape: tuple[int, ...],
    elements: int,
    where: str,
    fault: Callable[[Any], str | None],
) -> list[Any]:
    nested = data.as_list()
    flat = _flatten(nested, shape, where)
    for element in flat:
        if isinstance(element, list):
            raise _ragged(shape, len(shape), 0, where)
        if fault(element):
            raise _first_fault(nested, where, fault)
    if len(flat) != elements:
        raise _wrong_count(len(flat), shape, elements, where)
    return flat


def _flatten(data: list[Any], shape: tuple[int, ...], where: str) -> list[Any]:
    """The elements of arrays that are nested as the shape says; a flat list is its own elements."""
    if len(shape) < 2 or not data or not isinstance(data[0], list):
        return data
    rows = [data]
    for axis, size in enumerate(shape):
        for number, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != size:
                raise _ragged(shape, axis, number, where)
        rows = [inner for row in rows for inner in row]
    return rows


def _ragged(shape: tuple[int, ...], axis: int, number: int, where: str) -> PenstockError:
    """`number` counts the arrays of that axis in row-major order."""
    if axis == len(shape):
        return invalid(f"{where}: data is nested deeper than its shape {list(shape)}")
    path = "".join(f"[{i}]" for i in np.unravel_index(number, shape[:axis])) if axis else ""
    return invalid(
        f"{where}: data{path} must be an array of {shape[axis]}, "
        f"for the shape is {list(shape)} (or data be flat)"
    )


def _wrong_count(found: int, shape: tuple[int, ...], elements: int, where: str) -> PenstockError:
    return invalid(f"{where}: data has {found} elements, the shape {list(shape)} takes {elements}")


def _first_fault(data: list[Any], where: str, fault: Callable[[Any], str | None]) -> PenstockError:
    """The error for the first element that is at fault, by its path in the arrays as sent."""
    # A stack of iterators: simdjson's nesting goes deeper than Python's recursion.
    path = [0]
    stack = [iter(data)]
    while stack:
        for element in stack[-1]:
            if isinstance(element, list):
                stack.append(iter(element))
                path.append(0)
                break
            why = fault(element)
            if why:
                at = "".join(f"[{i}]" for i in path)
                return invalid(f"{where}: data{at} {why}")
            path[-1] += 1
        else:
            stack.pop()
            path.pop()
            if path:
                path[-1] += 1
    return invalid(f"{where}: data is not what its datatype says")


def _not_a(kind: type, meaning: str, element: Any) -> str | None:
    return None if type(element) is kind else f"must be {meaning}"


def _not_number(row: Datatype, element: Any) -> str | None:
    if row.kind == "float":
        if type(element) not in (int, float):
            return "must be a number"
        with np.errstate(over="ignore"):
            fits = bool(np.isfinite(row.dtype.type(element)))
        return None if fits else f"is too large for {row.name}"
    if type(element) is not int:
        return f"must be an integer, for the datatype is {row.name}"
    limits = np.iinfo(row.dtype)
    if limits.min <= element <= limits.max:
        return None
    return f"is outside {row.name}'s range, {limits.min} to {limits.max}"


def from_list(data: list[Any], row: Datatype, where: str) -> tuple[bytes, tuple[int, ...]]:
    """The canonical bytes of a short list, which may be nested, and its own shape.

    Raises PenstockError INVALID, also for lists of different lengths side by side.
    """
    fault = _fault_of(row, where)
    shape: list[int] = []
    first: Any = data
    while isinstance(first, list) and len(shape) < MAX_DIMENSIONS:
        shape.append(len(first))
        first = first[0] if first else None
    elements = _flatten(data, tuple(shape), where)
    for element in elements:
        if isinstance(element, list):
            raise _ragged(tuple(shape), len(shape), 0, where)
        if fault(element):
            raise _first_fault(data, where, fault)
    return _pack(elements, row), tuple(shape)


def from_scalar(value: Any, row: Datatype, where: str) -> bytes:
    """The canonical bytes of one element; raises PenstockError INVALID."""
    why = _fault_of(row, where)(value)
    if why:
        raise invalid(f"{where}: {why}")
    return _pack([value], row)


def _pack(elements: list[Any], row: Datatype) -> bytes:
    """Elements without fault as canonical bytes."""
    if row.kind == "bytes":
        return join_bytes([text.encode() for text in elements])
    if row.kind == "bool":
        return bytes(elements)
    return np.array(elements, row.dtype).tobytes()


def _fault_of(row: Datatype, where: str) -> Callable[[Any], str | None]:
    """What is wrong with an element, by datatype; INVALID for datatypes that JSON can't carry."""
    if row.name in RAW_ONLY:
        raise invalid(f"{where}: {row.name} has no JSON form; use infer with binary data")
    if row.kind == "bytes":
        return partial(_not_a, str, "a string")
    if row.kind == "bool":
        return partial(_not_a, bool, "true or false")
    return partial(_not_number, row)
