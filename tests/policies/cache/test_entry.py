"""Answers as bytes: exactly what was, and nothing else is taken for one."""

from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.cache.entry import content, decode, encode, times
from protos.values import Chat, Embedding, Part, Prompt, Tensor, Tensors
from tests.protos.any_tensors import tensors

TEXTS = st.text(max_size=20)
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**64 - 1), TEXTS, st.floats(allow_nan=False, width=64)
)
PARAMETERS = st.dictionaries(
    TEXTS, SCALARS.filter(lambda value: value not in (inf, -inf)), max_size=3
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(TEXTS, JSON, max_size=3)
PAYLOADS = st.one_of(
    st.lists(tensors(), max_size=3).map(lambda made: Tensors(tuple(made))),
    *(BODIES.map(kind) for kind in (Chat, Prompt, Embedding)),
)
PARTS = st.lists(
    st.builds(Part, PAYLOADS, TEXTS, PARAMETERS, st.booleans()), min_size=1, max_size=4
)


@settings(max_examples=50, deadline=None)
@given(PARTS)
def test_what_is_read_is_what_was_written(parts):
    try:
        entry = encode(parts, 1000.0, 60.0)
    except TypeError:
        return  # a lone surrogate, which no JSON has
    assert decode(entry) == parts
    assert times(entry) == (1000.0, 60.0)
    assert content(entry) == content(encode(parts, 2000.0, 5.0))


@settings(max_examples=50, deadline=None)
@given(PARTS, st.data())
def test_a_part_of_an_entry_is_none(parts, data):
    try:
        entry = encode(parts, 1000.0, 60.0)
    except TypeError:
        return
    cut = entry[: data.draw(st.integers(0, len(entry) - 1))]
    with pytest.raises(ValueError, match="no kept answer"):
        decode(cut)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_rubbish_is_none(rubbish):
    with pytest.raises(ValueError, match="no kept answer"):
        decode(rubbish)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_json_cannot_tell_is_not_written(value):
    with pytest.raises(ValueError, match="not finite"):
        encode([Part(Tensors(()), "1", {"p": value}, True)], 0.0, 1.0)


def test_what_was_read_can_be_changed_without_changing_what_is_kept():
    entry = encode([Part(Chat({"a": [1]}), "1", {"p": 1}, True)], 0.0, 1.0)
    first = decode(entry)[0]
    first.payload.body["a"].append(2)
    first.parameters["p"] = 2
    assert decode(entry)[0] == Part(Chat({"a": [1]}), "1", {"p": 1}, True)
    tensors = encode([Part(Tensors(()), "1", {"p": 1}, True)], 0.0, 1.0)
    decode(tensors)[0].parameters["p"] = 2
    assert decode(tensors)[0].parameters == {"p": 1}


def test_views_become_bytes():
    data = bytearray(b"\x01\x02")
    entry = encode([Part(Tensors((Tensor("y", "INT8", (2,), data),)), "1", {}, True)], 0.0, 1.0)
    data[0] = 9
    kept = decode(entry)[0].payload.tensors[0].data
    assert (type(kept), kept) == (bytes, b"\x01\x02")


@pytest.mark.parametrize("shape", [(2,), (-1, 1), (2**62, 2**62)])
def test_an_entry_whose_shape_and_data_disagree_is_none(shape):
    wrong = Part(Tensors((Tensor("y", "FP32", shape, bytes(4)),)), "1", {}, True)
    with pytest.raises(ValueError, match="no kept answer"):
        decode(encode([wrong], 1000.0, 60.0))
