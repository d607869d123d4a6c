"""Answers for the tests of comparisons, and what hypothesis makes of them."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic.alias_generators import to_camel

from protos.arrays import to_tensor
from protos.datatypes import DATATYPES
from protos.route.mirror import Compare
from protos.values import Part, Tensor, Tensors
from routing.compare.comparator import comparator


def tensor(name, value):
    """Of an array, of a list of texts or bytes, or as it is."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, str | bytes):
        value = [value]
    if isinstance(value, list) and value and isinstance(value[0], str | bytes):
        value = np.array([v.encode() if isinstance(v, str) else v for v in value], object)
    return to_tensor(name, np.asarray(value))


def part(final=True, **outputs):
    tensors = tuple(tensor(name, value) for name, value in outputs.items())
    return Part(Tensors(tensors), "1", {}, final)


def unary(**outputs):
    return [part(**outputs)]


def stream(name, *values):
    return [part(final=i == len(values) - 1, **{name: value}) for i, value in enumerate(values)]


def compared(primary, candidate, **how):
    """`how` as a route document has it, but in small letters: `max_edit="10%"`."""
    settings = {to_camel(name): value for name, value in how.items()}
    return comparator(Compare(**settings))(primary, candidate)


def tensors_of(name, datatypes=tuple(DATATYPES)):
    """Any tensor of these datatypes with small dimensions, none of them or zero included."""
    return st.sampled_from(datatypes).flatmap(lambda datatype: _tensor(name, datatype))


def _tensor(name, datatype):
    row = DATATYPES[datatype]
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
    if datatype == "BYTES":
        elements = st.binary(max_size=8) | st.sampled_from([b"{}", b'{"a":[1]}', b"text", b"1"])
        arrays = hnp.arrays(object, shapes, elements=elements, fill=st.nothing())
    else:
        arrays = hnp.arrays(row.dtype, shapes)
    return arrays.map(lambda array: to_tensor(name, array, datatype))
