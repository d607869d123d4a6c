"""Which requests may share a batch: their inputs' dimensions after filling up."""

from bisect import bisect_left

from backends.batching.job import BatchPolicy, Bucket, PadRule
from backends.runtime import Arrays
from protos.errors import invalid


def bucket_of(inputs: Arrays, policy: BatchPolicy) -> tuple[Bucket, int]:
    """The bucket of a request and how many rows it has (1 for models without batch dimension).

    Raises INVALID if inputs disagree on the rows or on a length that they share, or have none.
    """
    rows = _rows(inputs) if policy.max_rows else 1
    first = 1 if policy.max_rows else 0
    if not policy.pads:
        if len(inputs) == 1:
            for name, array in inputs.items():
                return ((name, array.dtype.char, array.shape[first:]),), rows
        return (
            tuple([(name, a.dtype.char, a.shape[first:]) for name, a in sorted(inputs.items())]),
            rows,
        )
    shapes = {name: list(array.shape) for name, array in inputs.items()}
    for rule in policy.pads:
        length = length_of(rule, inputs)
        if length is not None:
            padded = next_size(rule.sizes, length)
            for name, axis in rule.axes.items():
                if name in shapes:
                    shapes[name][axis] = padded
    return (
        tuple(
            [
                (name, inputs[name].dtype.char, tuple(shape[first:]))
                for name, shape in sorted(shapes.items())
            ]
        ),
        rows,
    )


def length_of(rule: PadRule, inputs: Arrays) -> int | None:
    """The request's own length of the rule's dimension; None if no input has it."""
    found: int | None = None
    where = ""
    for name, axis in rule.axes.items():
        array = inputs.get(name)
        if array is None:
            continue
        if axis >= array.ndim:
            raise invalid(f'inputs "{name}": shape {list(array.shape)} has no dimension {axis}')
        length = array.shape[axis]
        if found is None:
            found, where = length, name
        elif length != found:
            raise invalid(
                f'inputs "{where}" and "{name}": {rule.symbol} is {found} in one and {length} '
                "in the other"
            )
    return found


def next_size(sizes: tuple[int, ...], size: int) -> int:
    """The smallest allowed size that holds `size`; `size` itself beyond the largest."""
    at = bisect_left(sizes, size)
    return sizes[at] if at < len(sizes) else size


def _rows(inputs: Arrays) -> int:
    rows = -1
    where = ""
    for name, array in inputs.items():
        if not array.ndim:
            raise invalid(f'inputs "{name}": the first dimension must be the rows, there is none')
        if rows < 0:
            rows, where = array.shape[0], name
        elif array.shape[0] != rows:
            raise invalid(
                f'inputs "{where}" and "{name}": one has {rows} rows, the other {array.shape[0]}'
            )
    if rows < 0:
        raise invalid("inputs: at least one is needed to know the number of rows")
    if rows == 0:
        raise invalid(f'inputs "{where}": has no rows')
    return rows
