"""Encoders of texts that take tensors answer like any model of embeddings."""

import base64

import numpy as np
import orjson
import pytest

from protos.arrays import split_bytes, to_tensor
from protos.errors import Kind, PenstockError
from protos.openai.embeddings import encoder_of, to_object, to_tensors
from protos.openai.reply import encode_reply
from protos.openai.request import embedding
from protos.values import Part, Signature, Tensors, TensorSpec

TEXTS = TensorSpec("texts", "BYTES", (-1,))
VECTORS = TensorSpec("vectors", "FP32", (-1, 3))
ENCODER = encoder_of(Signature("onnx", (TEXTS,), (VECTORS,)))
BODY = {"model": "m", "input": ["é", "b"]}
ROWS = np.array([[0.1, 2, 3], [4, 5, 6]], np.float32)


def spec(name, datatype, *shape, optional=False):
    return TensorSpec(name, datatype, shape, optional=optional)


@pytest.mark.parametrize(
    ("inputs", "outputs", "vectors"),
    [
        ((TEXTS,), (VECTORS,), "vectors"),
        ((spec("t", "BYTES", -1, 1),), (VECTORS,), "vectors"),
        ((spec("t", "BYTES", -1, -1),), (VECTORS,), "vectors"),
        ((TEXTS, spec("k", "INT64", 1, optional=True)), (VECTORS,), "vectors"),
        ((TEXTS,), (VECTORS, spec("tokens", "INT64", -1, -1)), "vectors"),
        (
            (TEXTS,),
            (spec("token_embeddings", "FP32", -1, 3), spec("embedding", "FP32", -1, 3)),
            "embedding",
        ),
    ],
)
def test_a_model_of_texts_in_and_vectors_out_is_an_encoder(inputs, outputs, vectors):
    assert encoder_of(Signature("onnx", inputs, outputs)).vectors.name == vectors


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ((spec("x", "FP32", -1, 3),), (VECTORS,)),
        ((TEXTS, TEXTS), (VECTORS,)),
        ((), (VECTORS,)),
        ((spec("t", "BYTES", 1),), (VECTORS,)),
        ((spec("t", "BYTES", -1, 2),), (VECTORS,)),
        ((TEXTS,), (spec("y", "FP16", -1, 3),)),
        ((TEXTS,), (spec("y", "FP32", -1, -1, 3),)),
        ((TEXTS,), (VECTORS, spec("y", "FP32", -1, 3))),
    ],
)
def test_others_are_none(inputs, outputs):
    assert encoder_of(Signature("onnx", inputs, outputs)) is None


def test_texts_become_one_tensor():
    payload = to_tensors(ENCODER, BODY)
    (tensor,) = payload.tensors
    assert (tensor.name, tensor.datatype, tensor.shape) == ("texts", "BYTES", (2,))
    assert split_bytes(tensor.data) == ["é".encode(), b"b"]
    assert payload.wanted == ("vectors",)
    assert to_tensors(ENCODER, {**BODY, "input": "one"}).tensors[0].shape == (1,)
    column = encoder_of(Signature("x", (spec("t", "BYTES", -1, 1),), (VECTORS,)))
    assert to_tensors(column, BODY).tensors[0].shape == (2, 1)


@pytest.mark.parametrize(
    ("change", "param"),
    [({"input": [1, 2]}, "input"), ({"input": [[1]]}, "input"), ({"dimensions": 2}, "dimensions")],
)
def test_what_such_models_cannot_do_is_refused(change, param):
    with pytest.raises(PenstockError) as caught:
        to_tensors(ENCODER, {**BODY, **change})
    assert (caught.value.kind, caught.value.param) == (Kind.INVALID, param)


def test_the_models_own_dimensions_may_be_asked_for():
    assert to_tensors(ENCODER, {**BODY, "dimensions": 3})


def answered(rows, **more):
    body = {**BODY, **more}
    part = Part(Tensors((to_tensor("vectors", rows),)), "1", {}, True)
    part = Part(to_object(ENCODER, body, part), "1", {}, True)
    return orjson.loads(encode_reply(embedding(body), part))


def test_vectors_become_embeddings_in_the_order_of_the_texts():
    found = answered(ROWS)
    assert found["data"][0]["embedding"] == [0.1, 2.0, 3.0]  # float32's shortest digits
    assert [each["index"] for each in found["data"]] == [0, 1]
    assert (found["object"], found["model"]) == ("list", "m")


def test_vectors_travel_as_little_endian_float32_in_base64():
    packed = answered(ROWS, encoding_format="base64")["data"][1]["embedding"]
    assert (np.frombuffer(base64.b64decode(packed), "<f4") == ROWS[1]).all()


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS[0], np.full((2, 3), np.nan, np.float32)])
def test_anything_but_a_vector_for_each_text_is_a_bad_reply(rows):
    with pytest.raises(PenstockError) as caught:
        answered(rows)
    assert caught.value.kind is Kind.BAD_REPLY
