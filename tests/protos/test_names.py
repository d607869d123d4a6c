"""What clients may call things, whichever decoder reads it."""

import orjson
import pytest

from protos import oip_grpc, v2_generate, v2_json
from protos import open_inference_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.names import check_count, check_name, check_text, check_unique
from protos.values import Signature

TENSOR = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}


def by_grpc(**fields: str) -> object:
    message = pb.ModelInferRequest(**fields)
    message.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(1.0)
    return oip_grpc.decode_request(message)


def by_json(**fields: str) -> object:
    return v2_json.decode_request(orjson.dumps({"inputs": [TENSOR], **fields}))


def by_generate(**fields: str) -> object:
    return v2_generate.decode_request(orjson.dumps(fields), Signature("p", (), ()))


@pytest.mark.parametrize(
    ("decode", "field"),
    [
        (by_grpc, "id"),
        (by_grpc, "model_name"),
        (by_grpc, "model_version"),
        (by_json, "id"),
        (by_generate, "id"),
    ],
)
def test_a_text_that_records_keep_has_256_characters_at_most(decode, field):
    found = decode(**{field: "é" * 256})
    assert "é" * 256 in repr(found)
    with pytest.raises(PenstockError) as caught:
        decode(**{field: "é" * 257})
    assert caught.value.kind is Kind.INVALID
    assert caught.value.message == f"{field}: is longer than 256 characters"


def test_a_text_may_be_empty_and_a_name_may_not():
    assert check_text("", "id") == ""
    with pytest.raises(
        PenstockError, match=r"inputs\[0\]: name must be a string that is not empty"
    ):
        check_name("", "inputs[0]")


@pytest.mark.parametrize("text", [None, 7, b"x", ["x"]])
def test_a_text_is_a_string(text):
    with pytest.raises(PenstockError, match="id: must be a string"):
        check_text(text, "id")


def test_a_request_has_1024_inputs_at_most():
    check_count(1024, "inputs")
    with pytest.raises(PenstockError, match="inputs: there are 1025, at most 1024 are taken"):
        check_count(1025, "inputs")


def test_a_name_is_there_once():
    check_unique(["x", "y"], "inputs")
    with pytest.raises(PenstockError, match='inputs: "x" is there twice'):
        check_unique(["x", "y", "x"], "inputs")
