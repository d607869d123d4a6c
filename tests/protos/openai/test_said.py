"""What a model said is found wherever OpenAI's answers have it."""

import base64

import numpy as np
import pytest

from protos.arrays import split_bytes, to_array
from protos.errors import PenstockError
from protos.openai.said import outputs_of
from protos.values import Chat, Embedding, Prompt, Tensor, Tensors

CALL = {"index": 1, "id": "c", "function": {"name": "find", "arguments": '{"a":'}}


def said(payload):
    return {each.name: split_bytes(each.data)[0].decode() for each in outputs_of(payload)}


def choices(*found):
    return {"object": "x", "choices": list(found)}


def test_a_message_and_a_chunk_of_it_have_their_texts_in_the_same_places():
    message = {"role": "assistant", "content": "hi", "tool_calls": [CALL]}
    whole = said(Chat(choices({"index": 0, "message": message, "finish_reason": "stop"})))
    assert whole == {
        "choices[0].content": "hi",
        "choices[0].tool_calls[1].name": "find",
        "choices[0].tool_calls[1].arguments": '{"a":',
    }
    assert said(Chat(choices({"index": 0, "delta": message}))) == whole


def test_every_choice_counts():
    found = choices({"index": 1, "text": "b"}, {"index": 0, "text": "a"})
    assert said(Prompt(found)) == {"choices[1].text": "b", "choices[0].text": "a"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": None},
        {"choices": [None, 1, {"index": 0}, {"message": 1}, {"delta": {"content": None}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"function": None}, 3]}}]},
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    ],
)
def test_a_chunk_without_text_says_nothing(body):
    assert outputs_of(Chat(body)) == ()


def test_embeddings_are_rows_whichever_way_they_are_encoded():
    rows = np.array([[1, 2.5], [3, -4]], "<f4")
    packed = base64.b64encode(rows[1].tobytes()).decode()
    body = {"data": [{"embedding": [1, 2.5]}, {"embedding": packed}]}
    (found,) = outputs_of(Embedding(body))
    assert (found.name, found.datatype, found.shape) == ("embedding", "FP32", (2, 2))
    assert (to_array(found) == rows).all()


@pytest.mark.parametrize("broken", ["!", "AAA=", "AAAA", [[1]], ["a"], None, {"a": 1}])
def test_an_embedding_that_is_none_cannot_be_compared(broken):
    with pytest.raises(PenstockError):
        outputs_of(Embedding({"data": [{"embedding": broken}]}))


def test_rows_of_different_lengths_are_no_tensor():
    with pytest.raises(PenstockError, match="different lengths"):
        outputs_of(Embedding({"data": [{"embedding": [1]}, {"embedding": [1, 2]}]}))


def test_tensors_are_what_they_are():
    tensors = (Tensor("y", "FP32", (1,), bytes(4)),)
    assert outputs_of(Tensors(tensors)) == tensors
