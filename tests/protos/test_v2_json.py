"""REST V2 bodies: every datatype both ways, what Triton's client sends and reads, and refusals."""

from itertools import product

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from protos.arrays import join_bytes, to_array, to_tensor
from protos.datatypes import DATATYPES
from protos.errors import Kind, PenstockError
from protos.v2_json import BINARY_FORMS, JSON_FORMS, OutputForms, decode_request, encode_reply
from protos.values import NO_PARAMETERS, Part, Signature, Tensor, Tensors, TensorSpec
from tests.protos import any_tensors
from tests.protos.any_tensors import JSON_DATATYPES, mutated


def as_lists(tensor, nested):
    array = to_array(tensor)
    if tensor.datatype == "BYTES":
        array = np.array([e.decode() for e in array.ravel()], object).reshape(tensor.shape)
    return (array if nested and tensor.shape else array.ravel()).tolist()


def as_input(tensor, nested=False):
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": tensor.shape,
        "data": as_lists(tensor, nested),
    }


def body(*inputs, **more):
    return orjson.dumps({"inputs": inputs, **more})


def x(**changes):
    return {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]} | changes


def refusal(*args, **named):
    with pytest.raises(PenstockError) as caught:
        decode_request(*args, **named)
    return caught.value


def part(*tensors, **named):
    return Part(Tensors(tensors), "3", named.get("parameters", NO_PARAMETERS), True)


def joined(chunks):
    return b"".join(bytes(chunk) for chunk in chunks)


# --- requests -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(
    any_tensors.payloads(datatypes=JSON_DATATYPES, utf8=True, finite=True),
    st.booleans(),
    any_tensors.parameters,
    any_tensors.texts,
)
def test_json_data_of_every_datatype_is_read_exactly(payload, nested, parameters, request_id):
    inputs = [as_input(tensor, nested) for tensor in payload.tensors]
    parameters.pop("binary_data_output", None)
    decoded = decode_request(body(*inputs, id=request_id, parameters=parameters))
    assert decoded.payload == payload
    assert decoded.parameters == parameters
    assert decoded.id == request_id
    assert decoded.forms == JSON_FORMS


@settings(deadline=None, max_examples=100)
@given(any_tensors.payloads())
def test_binary_data_of_every_datatype_is_read_exactly(payload):
    inputs = [
        {
            "name": t.name,
            "datatype": t.datatype,
            "shape": t.shape,
            "parameters": {"binary_data_size": len(t.data)},
        }
        for t in payload.tensors
    ]
    head = body(*inputs, parameters={"binary_data_output": True})
    decoded = decode_request(head + joined(t.data for t in payload.tensors), len(head))
    assert decoded.payload == payload
    assert decoded.parameters == {}
    assert decoded.forms.is_binary("y")


@pytest.mark.parametrize(
    ("datatype", "binary"),
    [("FP16", True), *product(JSON_DATATYPES, [True, False])],
)
def test_what_tritons_client_sends_is_understood(datatype, binary):
    row = DATATYPES[datatype]
    if datatype == "BYTES":
        array = np.array([[b"a", "é\0[".encode(), b""]], object)
    else:
        array = np.array([[0, 1, 1]]).astype(row.dtype)
    tensor = InferInput("x", array.shape, datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    sent, header_length = InferenceServerClient.generate_request_body(
        [tensor],
        [InferRequestedOutput("y", binary_data=True), InferRequestedOutput("z", binary_data=False)],
        request_id="7",
        sequence_id=2**40,
        priority=1,
        timeout=5,
    )
    decoded = decode_request(sent, header_length)
    assert decoded.payload.tensors == (to_tensor("x", array, datatype),)
    assert decoded.payload.wanted == ("y", "z")
    assert [decoded.forms.is_binary(name) for name in ("y", "z")] == [True, False]
    assert decoded.parameters["sequence_id"] == 2**40
    assert (decoded.parameters["priority"], decoded.parameters["timeout"]) == (1, 5)


def test_a_large_array_is_read_as_its_shortest_digits_say():
    array = np.random.default_rng(0).standard_normal((3, 64, 64)).astype(np.float32)
    data = orjson.dumps(array.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)
    nested = orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
    for text in (data, nested):
        sent = b'{"inputs":[{"data":%b,"name":"x","datatype":"FP32","shape":[3,64,64]}]}' % text
        assert decode_request(sent).payload.tensors[0].data == array.tobytes()


def test_mlservers_codec_hint_is_no_obstacle():
    decoded = decode_request(body(x(parameters={"content_type": "np"})))
    assert decoded.payload.tensors[0].shape == (2, 2)


REFUSED = [
    (x(data=[[1, 2, 3], [4]]), "data[0] must be an array of 2"),
    (x(data=[[1, 2], [3]]), "data[1] must be an array of 2"),
    (x(data=[[1, 2], 3, 4]), "data must be an array of 2"),
    (x(data=[[1, 2], 3]), "data[1] must be an array of 2"),
    (x(data=[[1, [2]], [3, 4]]), "nested deeper than its shape [2, 2]"),
    (x(data=[1, [2], 3, 4]), "nested deeper than its shape [2, 2]"),
    (x(data=[[], [1, 2, 3, 4]]), "data[0] must be an array of 2"),
    (x(data=[[[1, 2], [3, 4]]]), "data must be an array of 2"),
    (x(data=[1, 2, 3]), "data has 3 elements, the shape [2, 2] takes 4"),
    (x(data=[1, 2, 3, None]), "data[3] must be a number"),
    (x(data=[1, 2, 3, True]), "data[3] must be a number"),
    (x(data=[1, 2, 3, "4"]), "data[3] must be a number"),
    (x(data=[1, 2, 3, {}]), "data[3] must be a number"),
    (x(data=[[1, 2], [1e39, 4]]), "data[1][0] is too large for FP32"),
    (x(data=[[1, 2], [-1e39, 4]]), "data[1][0] is too large for FP32"),
    (x(data=5), "data: must be an array"),
    (x(data=None), "data: must be an array"),
    (x(datatype="UINT8", data=[1, 2, 300, 4]), "data[2] is outside UINT8's range, 0 to 255"),
    (x(datatype="UINT8", data=[1, 2, -1, 4]), "data[2] is outside UINT8's range"),
    (x(datatype="INT8", data=[[1, 2], [3, -129]]), "data[1][1] is outside INT8's range"),
    (x(datatype="INT32", data=[1.0, 2, 3, 4]), "data[0] must be an integer"),
    (x(datatype="INT32", data=[1, 2, True, 4]), "data[2] must be an integer"),
    (x(datatype="INT64", data=[1, 2, 2**63, 4]), "data[2] is outside INT64's range"),
    (x(datatype="BOOL", data=[True, False, 1, True]), "data[2] must be true or false"),
    (x(datatype="BYTES", data=["a", "b", 1, "d"]), "data[2] must be a string"),
    (x(datatype="BYTES", data=["a", "b", ["c"], "d"]), "nested deeper than its shape"),
    (x(datatype="BYTES", data=["a"]), "data has 1 elements"),
    (x(datatype="FP16"), "FP16 has no JSON form; use infer with binary data"),
    (x(datatype="BF16"), "BF16 has no JSON form"),
    (x(datatype="FP33"), 'there is no datatype "FP33"; did you mean "FP32"?'),
    (x(datatype=32), "datatype must be a string"),
    (x(shape=[-1, 4]), "negative dimension"),
    (x(shape=[2**31, 2**31]), "more than 2147483648 elements"),
    (x(shape=[2**63, 4]), "more than 2147483648 elements"),
    (x(shape=[0, 2**63]), "more than 2147483648 elements"),
    (x(shape=[1] * 65), "65 dimensions"),
    (x(shape=[2.0, 2]), "shape must consist of integers"),
    (x(shape=[True, 4]), "shape must consist of integers"),
    (x(shape=[[2], 2]), "shape must consist of integers"),
    (x(shape="2"), "shape: must be an array"),
    (x(parameters={"binary_data_size": 16}), "both data and binary_data_size"),
    (x(parameters={"binary_data_siz": 16}), 'did you mean "binary_data_size"'),
    (x(parameters={"content_type": {}}), '"content_type" must be a boolean'),
    (x(parameters=[]), "parameters: must be an object"),
]


@pytest.mark.parametrize(("given_input", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_an_input_that_is_wrong_is_refused_by_name_and_path(given_input, why):
    error = refusal(body(given_input))
    assert error.kind is Kind.INVALID
    assert error.message.startswith('inputs[0] "x": ')
    assert why in error.message


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"{}", "inputs: is missing"),
        (body(), "inputs: there must be at least one"),
        (b'{"inputs":{}}', "inputs: must be an array"),
        (b'{"inputs":[1]}', "inputs[0]: must be an object"),
        (body(x(), x()), 'inputs: "x" is there twice'),
        (body(x(name="")), "inputs[0]: name must be a string that is not empty"),
        (body(x(name=3)), "inputs[0]: name must be a string"),
        (body({"name": "x", "datatype": "FP32", "shape": [1]}), 'inputs[0] "x": data: is missing'),
        (body({"name": "x", "datatype": "FP32", "data": [1]}), 'inputs[0] "x": shape: is missing'),
        (body(x(dta=1)), 'inputs[0]: there is no field "dta"; did you mean "data"?'),
        (body(x(), input=[]), 'there is no field "input"; did you mean "inputs"?'),
        (body(x(), id=7), "id: must be a string"),
        (body(x(), parameters=[]), "parameters: must be an object"),
        (body(x(), parameters={"a": [1]}), 'parameters: "a" must be a boolean'),
        (body(x(), parameters={"a": None}), 'parameters: "a" must be a boolean'),
        (body(x(), parameters={"binary_data_output": 1}), "binary_data_output: must be true or"),
        (body(x(), outputs={}), "outputs: must be an array"),
        (body(x(), outputs=["y"]), "outputs[0]: must be an object"),
        (body(x(), outputs=[{"name": "y"}] * 2), 'outputs: "y" is there twice'),
        (body(x(), outputs=[{"name": "y", "shape": []}]), 'outputs[0]: there is no field "shape"'),
        (
            body(x(), outputs=[{"name": "y", "parameters": {"binary_data": 1}}]),
            'outputs[0] "y": binary_data: must be true or false',
        ),
        (
            body(x(), outputs=[{"name": "y", "parameters": {"binary": True}}]),
            'outputs[0] "y": there is no parameter "binary"; did you mean "binary_data"?',
        ),
        (b'{"inputs":[{"name":"x","name":"x"}]}', 'inputs[0]: the key "name" is there twice'),
    ],
)
def test_a_request_that_is_wrong_is_refused_by_field(sent, why):
    error = refusal(sent)
    assert error.kind is Kind.INVALID
    assert why in error.message


@pytest.mark.parametrize(
    "sent",
    [
        body(x(parameters={"shared_memory_region": "r"})),
        body(x(), outputs=[{"name": "y", "parameters": {"shared_memory_region": "r"}}]),
        body(x(), outputs=[{"name": "y", "parameters": {"classification": 3}}]),
    ],
)
def test_extensions_that_are_not_offered_say_so(sent):
    assert refusal(sent).kind is Kind.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("size", "tail", "why"),
    [
        (16, bytes(15), "binary_data_size is 16, 15 bytes are left"),
        (16, bytes(17), "1 bytes follow the last input's binary data"),
        (15, bytes(15), "takes 16 bytes, the data has 15"),
        (-1, b"", "binary_data_size is -1"),
        (16.0, bytes(16), "binary_data_size must be an integer"),
    ],
)
def test_binary_sizes_must_agree_with_shape_and_body(size, tail, why):
    given_input = x(parameters={"binary_data_size": size})
    del given_input["data"]
    head = body(given_input)
    assert why in refusal(head + tail, len(head)).message


@pytest.mark.parametrize("header_length", [-1, 10_000])
def test_the_header_length_must_lie_in_the_body(header_length):
    assert "Inference-Header-Content-Length" in refusal(body(x()), header_length).message


def test_brackets_in_strings_do_not_hide_arrays_among_numbers():
    assert decode_request(body(x(name="x[0]"), id="[[")).payload.tensors[0].name == "x[0]"
    assert "nested deeper" in refusal(body(x(name="x[0]", data=[1, [2], 3, 4]))).message


def test_errors_hold_no_data():
    error = refusal(body(x(datatype="UINT8", data=[1, 2, 31337, 4])))
    assert "31337" not in error.message


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_damaged_body_is_refused_or_holds_what_it_says(data):
    sent = body(x(), x(name="s", datatype="BYTES", data=[["a", "b"], ["c", "d"]]), id="1")
    try:
        decoded = decode_request(data.draw(mutated(sent)))
    except PenstockError:
        return
    for tensor in decoded.payload.tensors:
        to_array(tensor)


# --- raw bodies -----------------------------------------------------------------------------------


def raw(body, datatype, shape, max_batch_size=0):
    signature = Signature("onnx", (TensorSpec("x", datatype, shape),), (), max_batch_size)
    return decode_request(body, 0, signature)


@pytest.mark.parametrize(
    ("datatype", "shape", "rows", "size", "expected"),
    [
        ("FP32", (2, 2), 0, 16, (2, 2)),
        ("FP32", (-1, 4), 8, 32, (2, 4)),
        ("FP16", (-1,), 0, 10, (5,)),
        ("UINT8", (-1, 3, -1), 8, 12, (1, 3, 4)),
        ("FP32", (-1, 4), 8, 0, (0, 4)),
    ],
)
def test_a_raw_body_gets_its_shape_from_the_model(datatype, shape, rows, size, expected):
    decoded = raw(bytes(size), datatype, shape, rows)
    assert decoded.payload == Tensors((Tensor("x", datatype, expected, bytes(size)),))
    assert decoded.forms == BINARY_FORMS


def test_a_raw_body_for_text_is_one_element():
    (tensor,) = raw(b"hello", "BYTES", (-1, 1), 8).payload.tensors
    assert (tensor.shape, tensor.data) == ((1, 1), join_bytes([b"hello"]))


@pytest.mark.parametrize(
    ("datatype", "shape", "rows", "why"),
    [
        ("FP32", (-1, 4), 8, "takes 0 bytes, the data has 15"),
        ("FP32", (-1, -1), 0, "doesn't follow from the body's size"),
        ("FP32", (-1, -1, -1), 8, "doesn't follow from the body's size"),
        ("BYTES", (2,), 0, "a raw body is one element"),
    ],
)
def test_a_raw_body_that_leaves_the_shape_open_is_refused(datatype, shape, rows, why):
    with pytest.raises(PenstockError) as caught:
        raw(bytes(15), datatype, shape, rows)
    assert why in caught.value.message


def test_a_raw_body_needs_a_model_with_one_input():
    spec = TensorSpec("x", "FP32", (1,))
    for signature in (None, Signature("onnx", (spec, spec), ())):
        assert "exactly one input" in refusal(bytes(4), 0, signature).message


# --- replies --------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(any_tensors.payloads(datatypes=JSON_DATATYPES, utf8=True, finite=True), any_tensors.texts)
def test_a_json_reply_is_read_back_exactly(payload, request_id):
    chunks, header_length = encode_reply("m", request_id, part(*payload.tensors))
    reply = orjson.loads(joined(chunks))
    assert header_length is None
    assert (reply["model_name"], reply["model_version"]) == ("m", "3")
    assert reply.get("id", "") == request_id
    assert decode_request(body(*reply["outputs"])).payload == payload


@settings(deadline=None, max_examples=100)
@given(any_tensors.payloads())
def test_a_binary_reply_carries_the_very_bytes(payload):
    chunks, header_length = encode_reply("m", "", part(*payload.tensors), BINARY_FORMS)
    assert len(chunks[0]) == header_length
    decoded = joined(chunks)[header_length:]
    assert decoded == joined(tensor.data for tensor in payload.tensors)


@pytest.mark.parametrize("forms", [JSON_FORMS, BINARY_FORMS, OutputForms(True, {"y": False})])
def test_tritons_client_reads_the_reply(forms):
    y = np.array([[0.1, -2.5e-8]], np.float32)
    s = np.array([b"a", "é".encode()], object)
    chunks, header_length = encode_reply(
        "m", "7", part(to_tensor("y", y), to_tensor("s", s), parameters={"a": 1.5}), forms
    )
    found = InferenceServerClient.parse_response_body(joined(chunks), header_length=header_length)
    np.testing.assert_array_equal(found.as_numpy("y"), y, strict=True)
    read = [e.encode() if isinstance(e, str) else e for e in found.as_numpy("s").tolist()]
    assert read == list(s)
    assert found.get_response()["id"] == "7"
    assert found.get_response()["parameters"] == {"a": 1.5}


def test_fp32_is_written_in_its_own_shortest_digits():
    chunks, _ = encode_reply("m", "", part(to_tensor("y", np.array([0.1], np.float32))))
    assert b'"data":[0.1]' in joined(chunks)


def test_data_at_an_odd_address_is_written_all_the_same():
    data = memoryview(b"\0" + np.arange(3.0).tobytes())[1:]
    chunks, _ = encode_reply("m", "", part(Tensor("y", "FP64", (3,), data)))
    assert b'"data":[0.0,1.0,2.0]' in joined(chunks)


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (Tensor("y", "FP16", (1,), bytes(2)), Kind.INVALID),
        (Tensor("y", "BF16", (1,), bytes(2)), Kind.INVALID),
        (to_tensor("y", np.array([np.nan])), Kind.BAD_REPLY),
        (to_tensor("y", np.array([np.inf], np.float32)), Kind.BAD_REPLY),
        (Tensor("y", "BYTES", (1,), join_bytes([b"\xff"])), Kind.BAD_REPLY),
    ],
)
def test_what_json_cannot_carry_is_told_with_the_way_out(tensor, kind):
    with pytest.raises(PenstockError, match=r'output "y".*"binary_data": true') as caught:
        encode_reply("m", "", part(tensor))
    assert caught.value.kind is kind
    chunks, _ = encode_reply("m", "", part(tensor), OutputForms(each={"y": True}))
    assert chunks[1] == tensor.data


def test_a_parameter_that_json_cannot_carry_is_not_written_as_null():
    with pytest.raises(PenstockError, match='parameters: "p" is not finite'):
        encode_reply("m", "", part(parameters={"p": float("nan")}))
