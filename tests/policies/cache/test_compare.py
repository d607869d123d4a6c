"""Answers that say the same though their bytes differ, and those that don't."""

import numpy as np
import pytest

from policies.cache.compare import same
from protos.arrays import to_tensor
from protos.values import Chat, Embedding, Part, Tensors


def answer(*arrays, datatype=""):
    tensors = [to_tensor(f"y{i}", np.asarray(a), datatype) for i, a in enumerate(arrays)]
    return [Part(Tensors(tuple(tensors)), "1", {}, True)]


def floats(*values, dtype=np.float32):
    return np.array(values, dtype)


def test_floats_may_differ_a_little():
    assert same(answer(floats(1.0, np.nan)), answer(floats(1.00001, np.nan)))
    assert not same(answer(floats(1.0)), answer(floats(1.01)))
    assert not same(answer(floats(1.0)), answer(floats(1.0, 1.0)))


def test_upper_halves_of_floats_are_floats():
    one, near, far = (np.array([bits], np.uint16) for bits in (0x4780, 0x4781, 0x3F80))
    assert same(answer(one, datatype="BF16"), answer(one, datatype="BF16"))
    assert not same(answer(one, datatype="BF16"), answer(near, datatype="BF16"))
    assert not same(answer(one, datatype="BF16"), answer(far, datatype="BF16"))


def test_integers_and_text_may_not():
    assert not same(answer(np.array([100_000])), answer(np.array([100_001])))
    assert not same(answer(np.array([b"a"], object)), answer(np.array([b"b"], object)))


def test_outputs_and_versions_count():
    one = answer(floats(1.0))
    assert not same(one, answer(floats(1.0), floats(2.0)))
    assert not same(one, [Part(one[0].payload, "2", {}, True)])


def test_where_a_stream_was_cut_makes_no_difference():
    def stream(*texts):
        return [part for text in texts for part in answer(np.array([text.encode()], object))]

    assert same(stream("he", "llo"), stream("hell", "", "o"))
    assert not same(stream("he", "llo"), stream("hell", "", "a"))


def chunk(index=0, id="1", **delta):
    choice = {"index": index, "delta": delta, "finish_reason": None}
    return Part(Chat({"id": id, "created": hash(id), "choices": [choice]}), "1", {}, False)


def test_chats_are_compared_by_what_their_choices_say():
    one = [chunk(content="he", id="a"), chunk(content="llo", id="a"), chunk(1, content="x", id="a")]
    other = [chunk(1, content="x", id="b"), chunk(content="hello", id="b")]
    assert same(one, other)
    assert not same(one, [*other, chunk(content="!", id="b")])


def test_an_index_that_is_no_number_is_no_place():
    assert same([chunk([0], content="x")], [chunk([0], content="x", id="b")])
    assert not same([chunk([0], content="x")], [chunk([0], content="y", id="b")])


@pytest.mark.parametrize(("value", "expected"), [(0.500001, True), (0.6, False)])
def test_embeddings_are_compared_as_floats(value, expected):
    def embedding(*vector):
        return [Part(Embedding({"data": [{"embedding": list(vector)}]}), "1", {}, True)]

    assert same(embedding(0.25, 0.5), embedding(0.25, value)) == expected
