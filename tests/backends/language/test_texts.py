"""An OpenAI model as `infer` and `generate` ask it."""

import numpy as np
import pytest

from backends.language.texts import SIGNATURE, prompt_of, text_of
from protos.arrays import split_bytes
from protos.errors import PenstockError
from protos.exchange_calls import Call


def call(text=b"Once", streaming=False, **parameters):
    inputs = {"text_input": np.array([text], object)}
    datatypes = {"text_input": "BYTES"}
    return Call(
        1, "m", "1", "", inputs, datatypes, (), parameters, "t", "", 0, False, False, streaming, 0
    )


def test_a_text_and_parameters_are_a_prompt():
    body = prompt_of(call("é".encode(), max_tokens=5, temperature=0.5, timeout=1000)).body
    assert body == {"model": "m", "prompt": "é", "max_tokens": 5, "temperature": 0.5}
    assert prompt_of(call(streaming=True)).body["stream"] is True


@pytest.mark.parametrize(
    "name", ["model", "prompt", "stream", "stream_options", "n", "sequence_id"]
)
def test_parameters_that_mean_something_else_are_refused(name):
    with pytest.raises(PenstockError, match=name):
        prompt_of(call(**{name: 1}))


def test_text_must_be_utf_8():
    with pytest.raises(PenstockError, match="UTF-8"):
        prompt_of(call(b"\xff"))


def said(body, streaming):
    return [split_bytes(each.data)[0].decode() for each in text_of(body, streaming=streaming)]


def test_an_answer_has_its_text_even_if_that_is_empty():
    assert said({"choices": [{"index": 0, "text": "on a"}]}, streaming=False) == ["on a"]
    assert said({"choices": [{"index": 0, "text": ""}]}, streaming=False) == [""]


def test_a_chunk_without_text_is_no_part():
    assert said({"choices": [{"index": 0, "text": "on"}]}, streaming=True) == ["on"]
    assert said({"choices": [{"index": 0, "text": ""}]}, streaming=True) == []
    assert said({"choices": [], "usage": {}}, streaming=True) == []


def test_the_interface_is_one_text_in_and_one_out():
    assert [spec.name for spec in SIGNATURE.inputs] == ["text_input"]
    assert SIGNATURE.openai
    assert SIGNATURE.decoupled
