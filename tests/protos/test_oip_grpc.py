"""The protocol's gRPC messages: raw and typed contents of every datatype, and refusals by name."""

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient import grpc as triton
from tritonclient.grpc import service_pb2

from protos import open_inference_pb2 as pb
from protos.arrays import join_bytes, split_bytes, to_array, to_tensor
from protos.datatypes import DATATYPES
from protos.errors import Kind, PenstockError
from protos.oip_grpc import decode_request, encode_reply
from protos.values import NO_PARAMETERS, Part, Tensor, Tensors
from tests.protos import any_tensors
from tests.protos.any_tensors import JSON_DATATYPES

FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def elements(tensor):
    if tensor.datatype == "BYTES":
        return split_bytes(tensor.data)
    return to_array(tensor).ravel().tolist()


def message(*tensors, typed, **fields):
    found = pb.ModelInferRequest(model_name="m", **fields)
    for tensor in tensors:
        each = found.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if typed:
            getattr(each.contents, FIELDS[tensor.datatype]).extend(elements(tensor))
        else:
            found.raw_input_contents.append(tensor.data)
    return found


def refusal(found):
    with pytest.raises(PenstockError) as caught:
        decode_request(found)
    return caught.value


def x(datatype="FP32", shape=(2,), **contents):
    found = pb.ModelInferRequest()
    found.inputs.add(
        name="x", datatype=datatype, shape=shape, contents=pb.InferTensorContents(**contents)
    )
    return found


def raw(*data, datatype="FP32", shape=(2,)):
    found = pb.ModelInferRequest(raw_input_contents=data)
    found.inputs.add(name="x", datatype=datatype, shape=shape)
    return found


@settings(deadline=None, max_examples=100)
@given(any_tensors.payloads())
def test_raw_contents_of_every_datatype_are_read_exactly(payload):
    decoded = decode_request(message(*payload.tensors, typed=False))
    assert decoded.payload == payload
    assert not decoded.typed


@settings(deadline=None, max_examples=100)
@given(any_tensors.payloads(datatypes=JSON_DATATYPES, finite=True))
def test_typed_contents_of_every_datatype_are_read_exactly(payload):
    decoded = decode_request(message(*payload.tensors, typed=True))
    assert decoded.payload == payload
    assert decoded.typed


def test_infinities_and_nan_are_values_like_others():
    tensor = to_tensor("x", np.array([np.inf, -np.inf, np.nan], np.float32))
    for typed in (True, False):
        (found,) = decode_request(message(tensor, typed=typed)).payload.tensors
        np.testing.assert_array_equal(to_array(found), to_array(tensor))


def test_names_parameters_and_wanted_outputs_are_kept():
    found = message(Tensor("x", "FP32", (1,), bytes(4)), typed=False, model_version="3", id="7")
    found.outputs.add(name="y")
    found.outputs.add(name="z")
    for key, value in {
        "bool_param": True,
        "int64_param": -(2**63),
        "string_param": "é",
        "double_param": 0.1,
        "uint64_param": 2**64 - 1,
    }.items():
        setattr(found.parameters[key], key, value)
    decoded = decode_request(found)
    assert (decoded.model, decoded.version, decoded.id) == ("m", "3", "7")
    assert decoded.payload.wanted == ("y", "z")
    assert decoded.parameters == {
        "bool_param": True,
        "int64_param": -(2**63),
        "string_param": "é",
        "double_param": 0.1,
        "uint64_param": 2**64 - 1,
    }


def with_outputs(*names):
    found = raw(bytes(8))
    for name in names:
        found.outputs.add(name=name)
    return found


def with_empty_parameter():
    found = raw(bytes(8))
    found.parameters["p"].SetInParent()
    return found


def mixed():
    found = x(fp32_contents=[1, 2])
    found.raw_input_contents.append(bytes(8))
    return found


def twice():
    tensor = Tensor("x", "FP32", (1,), bytes(4))
    return message(tensor, tensor, typed=False)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (pb.ModelInferRequest(), "inputs: there must be at least one"),
        (raw(bytes(8), bytes(8)), "raw_input_contents: there are 2, for 1 inputs"),
        (mixed(), 'inputs[0] "x": contents and raw_input_contents may not be mixed'),
        (twice(), 'inputs: "x" is there twice'),
        (raw(bytes(7)), 'inputs[0] "x": shape [2] of FP32 takes 8 bytes, the data has 7'),
        (raw(bytes(8), shape=(-2,)), "negative dimension"),
        (raw(bytes(8), shape=(2**62, 2**62)), "more than 2147483648 elements"),
        (raw(bytes(8), datatype="FP33"), 'there is no datatype "FP33"'),
        (raw(b"\5\0\0\0a", datatype="BYTES", shape=(1,)), "reaches beyond the data"),
        (raw(b"\2\0\0\0ab\0", datatype="BYTES", shape=(1,)), "is cut off"),
        (x(fp32_contents=[1]), "fp32_contents has 1 elements, the shape [2] takes 2"),
        (x(), "fp32_contents has 0 elements"),
        (x(shape=(-1,), fp32_contents=[1]), "negative dimension"),
        (x("FP33"), 'there is no datatype "FP33"'),
        (x("FP32", fp64_contents=[1, 2]), "FP32 belongs into fp32_contents, there is fp64"),
        (x("FP16", fp32_contents=[1, 2]), "FP16 has no typed contents"),
        (x("BF16", fp32_contents=[1, 2]), "BF16 has no typed contents"),
        (x("INT8", int_contents=[1, 128]), "int_contents[1] is outside INT8's range, -128 to 127"),
        (x("INT16", int_contents=[-40000, 1]), "int_contents[0] is outside INT16's range"),
        (x("UINT8", uint_contents=[1, 256]), "uint_contents[1] is outside UINT8's range, 0 to 255"),
        (x("UINT16", uint_contents=[1, 65536]), "uint_contents[1] is outside UINT16's range"),
        (with_outputs("y", "y"), 'outputs: "y" is there twice'),
        (with_outputs(""), "outputs[0]: name must be a string that is not empty"),
        (with_empty_parameter(), 'parameters: "p" has no value'),
    ],
)
def test_what_is_wrong_is_refused_by_name(found, why):
    error = refusal(found)
    assert error.kind is Kind.INVALID
    assert why in error.message


@pytest.mark.parametrize("key", ["shared_memory_region", "classification"])
def test_extensions_that_are_not_offered_say_so(key):
    found = with_outputs("y")
    found.outputs[0].parameters[key].int64_param = 1
    assert refusal(found).kind is Kind.UNIMPLEMENTED


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_damaged_message_is_refused_or_holds_what_it_says(data):
    tensors = (Tensor("x", "INT8", (2,), b"\1\2"), Tensor("s", "BYTES", (1,), join_bytes([b"a"])))
    whole = message(*tensors, typed=data.draw(st.booleans()), id="7").SerializeToString()
    try:
        found = pb.ModelInferRequest.FromString(data.draw(any_tensors.mutated(whole)))
    except DecodeError:  # protobuf's own refusal comes before the codec
        return
    try:
        decoded = decode_request(found)
    except PenstockError:
        return
    for tensor in decoded.payload.tensors:
        to_array(tensor)


def part(*tensors, parameters=NO_PARAMETERS):
    return Part(Tensors(tensors), "3", parameters, True)


@settings(deadline=None, max_examples=100)
@given(any_tensors.payloads(datatypes=JSON_DATATYPES, finite=True), any_tensors.parameters)
def test_replies_carry_every_datatype_raw_and_typed(payload, parameters):
    found = encode_reply("m", "7", part(*payload.tensors, parameters=parameters))
    assert (found.model_name, found.model_version, found.id) == ("m", "3", "7")
    assert list(found.raw_output_contents) == [tensor.data for tensor in payload.tensors]
    back = decode_request(
        pb.ModelInferRequest(
            inputs=[
                pb.ModelInferRequest.InferInputTensor.FromString(output.SerializeToString())
                for output in encode_reply("m", "", part(*payload.tensors), typed=True).outputs
            ],
            parameters=found.parameters,
        )
    )
    assert back.payload == payload
    assert back.parameters == parameters


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half_precision_has_no_typed_reply(datatype):
    tensor = Tensor("y", datatype, (1,), bytes(2))
    assert encode_reply("m", "", part(tensor)).raw_output_contents[0] == bytes(2)
    with pytest.raises(PenstockError, match='output "y"') as caught:
        encode_reply("m", "", part(tensor), typed=True)
    assert caught.value.kind is Kind.INVALID


@pytest.mark.parametrize("datatype", sorted(set(DATATYPES) - {"BF16"}))
def test_tritons_client_reads_the_reply(datatype):
    if datatype == "BYTES":
        array = np.array([[b"a", b"\xff", b""]], object)
    else:
        array = np.array([[0, 1, 1]]).astype(DATATYPES[datatype].dtype)
    wire = encode_reply("m", "7", part(to_tensor("y", array, datatype))).SerializeToString()
    found = triton.InferResult(service_pb2.ModelInferResponse.FromString(wire))
    np.testing.assert_array_equal(found.as_numpy("y"), array)
