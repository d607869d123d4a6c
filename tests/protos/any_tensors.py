"""Hypothesis strategies for tensors of every datatype, parameters and hostile JSON."""

import numpy as np
from hypothesis import strategies as st

from protos.arrays import join_bytes
from protos.datatypes import DATATYPES
from protos.principal import Principal
from protos.timeline import Target, Timeline
from protos.values import Context, InferRequest, Tensor, Tensors

ALL_DATATYPES = sorted(DATATYPES)
JSON_DATATYPES = sorted(set(DATATYPES) - {"FP16", "BF16"})

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
parameters = st.dictionaries(
    names,
    st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    max_size=3,
)


def elements(shape):
    return int(np.prod(shape, dtype=int))


@st.composite
def tensors(draw, datatypes=ALL_DATATYPES, utf8=False, finite=False):
    """A tensor with random name, shape and canonical data; what it holds is any bits at all."""
    row = DATATYPES[draw(st.sampled_from(datatypes))]
    shape = draw(shapes)
    count = elements(shape)
    if row.kind == "bytes":
        each = texts.map(str.encode) if utf8 else st.binary(max_size=8)
        data = join_bytes(draw(st.lists(each, min_size=count, max_size=count)))
    elif row.kind == "bool":
        data = bytes(draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))
    else:
        size = count * row.itemsize
        data = draw(st.binary(min_size=size, max_size=size))
        if finite and row.kind == "float":
            array = np.frombuffer(data, row.dtype)
            data = np.where(np.isfinite(array), array, row.dtype.type(0.1)).tobytes()
    return Tensor(draw(names), row.name, shape, data)


def payloads(**how):
    unique = st.lists(tensors(**how), min_size=1, max_size=3, unique_by=lambda t: t.name)
    return st.builds(Tensors, unique.map(tuple))


def request(payload, parameters=None, **context):
    principal = Principal("alice", "acme", frozenset({"infer:*"}))
    around = Context(principal, 1e9, Timeline(0.0), Target("stable", "fraud", "3"), **context)
    return InferRequest("r-1", "asked", "", payload, parameters or {}, around)


@st.composite
def mutated(draw, body):
    """The body with some bytes replaced, removed or put in."""
    body = bytearray(body)
    interesting = st.sampled_from(list(b'[]{}",:\\0123456789.-eEtfn\x00\xff\xed\xa0\x80 '))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        match draw(st.integers(0, 2)):
            case 0:
                body[at : at + 1] = bytes([draw(interesting)])
            case 1:
                del body[at : at + draw(st.integers(1, 8))]
            case 2:
                body[at:at] = bytes([draw(interesting)])
    return bytes(body)
