"""The generate endpoints: flat JSON in and out, and errors in the middle of a stream."""

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos import sse
from protos.arrays import join_bytes, to_array, to_tensor
from protos.errors import Kind, PenstockError, invalid
from protos.v2_generate import decode_request, encode_error, encode_event, encode_reply
from protos.values import Part, Signature, Tensor, Tensors, TensorSpec
from tests.protos.any_tensors import mutated

SIGNATURE = Signature(
    "llm",
    (
        TensorSpec("text_input", "BYTES", (-1, 1)),
        TensorSpec("x", "FP32", (-1,)),
        TensorSpec("n", "INT8", (1,)),
        TensorSpec("half", "FP16", (1,)),
        TensorSpec("flag", "BOOL", ()),
    ),
    (),
    8,
)


def decode(**fields):
    return decode_request(orjson.dumps(fields), SIGNATURE)


def test_keys_that_are_inputs_become_tensors_and_the_others_parameters():
    decoded = decode(
        text_input="hi", n=3, flag=True, temperature=0.5, parameters={"stream": False}, id="7"
    )
    found = {tensor.name: tensor for tensor in decoded.payload.tensors}
    assert found["text_input"] == Tensor("text_input", "BYTES", (1, 1), join_bytes([b"hi"]))
    assert found["n"] == Tensor("n", "INT8", (1,), b"\3")
    assert found["flag"] == Tensor("flag", "BOOL", (), b"\1")
    assert decoded.parameters == {"temperature": 0.5, "stream": False}
    assert decoded.id == "7"


@pytest.mark.parametrize(
    ("value", "shape"),
    [(["a", "b"], (1, 2)), ([["a"], ["b"]], (2, 1)), ([], (1, 0)), ([[], []], (2, 0))],
)
def test_a_list_has_its_own_shape_behind_dimensions_of_one(value, shape):
    (tensor,) = decode(text_input=value).payload.tensors
    assert tensor.shape == shape
    assert [e.decode() for e in to_array(tensor).ravel()] == list(np.ravel(value))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"x": "a"}, '"x": must be a number'),
        ({"x": None}, '"x": must be a number'),
        ({"x": 1e39}, '"x": is too large for FP32'),
        ({"x": [1, 1e39]}, '"x": data[1] is too large for FP32'),
        ({"x": [[1]]}, '"x": is nested deeper than the model\'s shape [-1]'),
        ({"x": [1, [2]]}, '"x": data is nested deeper'),
        ({"x": {"a": 1}}, '"x": must be a number'),
        ({"text_input": [["a"], ["b", "c"]]}, "data[1] must be an array of 1"),
        ({"text_input": 5}, '"text_input": must be a string'),
        ({"n": 200}, '"n": is outside INT8\'s range'),
        ({"n": 1.0}, '"n": must be an integer'),
        ({"n": True}, '"n": must be an integer'),
        ({"half": 1.0}, '"half": FP16 has no JSON form'),
        ({"flag": 1}, '"flag": must be true or false'),
        ({"other": [1]}, '"other" is no input of the model'),
        ({"other": None}, '"other" is no input of the model'),
        ({"parameters": 1}, "parameters: must be an object"),
        ({"a": 1, "parameters": {"a": 1}}, 'parameters: "a" is given twice'),
        ({"parameters": {"a": {}}}, '"parameters.a" is no input of the model'),
        ({"id": 7}, "id: must be a string"),
        ({"id": "i" * 257}, "id: is longer than 256 characters"),
    ],
)
def test_what_is_wrong_is_refused_by_key(fields, why):
    with pytest.raises(PenstockError) as caught:
        decode(**fields)
    assert caught.value.kind is Kind.INVALID
    assert why in caught.value.message


@settings(deadline=None, max_examples=200)
@given(mutated(b'{"text_input":["a","b"],"x":[1,2.5],"n":3,"flag":true,"t":"u"}'))
def test_a_damaged_body_is_refused_or_holds_what_it_says(body):
    try:
        decoded = decode_request(body, SIGNATURE)
    except PenstockError:
        return
    for tensor in decoded.payload.tensors:
        to_array(tensor)


def part(*tensors, **parameters):
    return Part(Tensors(tensors), "3", parameters, True)


def test_outputs_of_one_element_are_scalars():
    reply = encode_reply(
        "m",
        part(
            Tensor("text_output", "BYTES", (1, 1), join_bytes(["é".encode()])),
            to_tensor("p", np.array([0.1], np.float32)),
            to_tensor("ok", np.array([[True]])),
            to_tensor("ids", np.array([[1, 2**62]])),
            sequence_end=True,
        ),
        "7",
    )
    assert (
        reply
        == (
            '{"model_name":"m","model_version":"3","id":"7","text_output":"é","p":0.1,"ok":true,'
            '"ids":[1,4611686018427387904],"sequence_end":true}'
        ).encode()
    )


@pytest.mark.parametrize("clash", [{"model_name": 1}, {"y": 1}])
def test_nothing_in_a_reply_hides_something_else(clash):
    with pytest.raises(PenstockError, match="two things") as caught:
        encode_reply("m", part(Tensor("y", "FP32", (1,), bytes(4)), **clash))
    assert caught.value.kind is Kind.BAD_REPLY


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(codec="utf-8")))
def test_an_event_carries_the_reply_whatever_its_text(text):
    one = part(Tensor("text_output", "BYTES", (1,), join_bytes([text.encode()])))
    (event,) = sse.Parser().feed(encode_event("m", one))
    assert orjson.loads(event.data)["text_output"] == text


def test_an_error_in_mid_stream_is_an_event():
    assert encode_error(invalid("no\n")) == b'data: {"error":"no\\n"}\n\n'
