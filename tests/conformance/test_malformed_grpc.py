"""Malformed gRPC input of every field: INVALID_ARGUMENT with a sentence that names it."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from chaos.mesh import Mesh
from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub

Change = Callable[[pb.ModelInferRequest], object]
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def stub(mesh: Mesh) -> Iterator[Any]:
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        yield GRPCInferenceServiceStub(channel)
    assert mesh.gateway.status is None


@pytest.fixture
def metadata(bearer: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(bearer.items())


def typed() -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="several", id="7")
    for name in ("left", "right"):
        contents = pb.InferTensorContents(int_contents=[1, 2, 3])
        request.inputs.add(name=name, datatype="INT32", shape=[1, 3], contents=contents)
    text = pb.InferTensorContents(bytes_contents=[b"abc"])
    request.inputs.add(name="text", datatype="BYTES", shape=[1, 1], contents=text)
    return request


def raw() -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="several")
    for name in ("left", "right"):
        request.inputs.add(name=name, datatype="INT32", shape=[1, 3])
    request.inputs.add(name="text", datatype="BYTES", shape=[1, 1])
    request.raw_input_contents.extend([bytes(12), bytes(12), b"\x03\0\0\0abc"])
    return request


def test_the_requests_that_are_spoilt_below_are_good(stub: Any, metadata: Any) -> None:
    reply = stub.ModelInfer(typed(), metadata=metadata)
    assert list(reply.outputs[0].contents.int_contents) == [2, 4, 6]

    reply = stub.ModelInfer(raw(), metadata=metadata)
    assert reply.raw_output_contents[2] == b"\x03\0\0\0ABC"


def _set(place: str, value: Any) -> Change:
    """Sets a field of the first input."""
    return lambda request: setattr(request.inputs[0], place, value)


def _shape(*shape: int) -> Change:
    def change(request: pb.ModelInferRequest) -> None:
        del request.inputs[0].shape[:]
        request.inputs[0].shape.extend(shape)

    return change


_SUM = pb.ModelInferRequest.InferRequestedOutputTensor(name="sum")
TYPED: list[tuple[Change, str]] = [
    (lambda r: r.ClearField("inputs"), "inputs: there must be at least one"),
    (_set("name", ""), "inputs[0]: name must be a string that is not empty"),
    (_set("name", "right"), 'inputs: "right" is there twice'),
    (_set("datatype", "INT33"), 'inputs[0] "left":'),
    (_set("datatype", "INT64"), "INT64 belongs into int64_contents, there is int_contents"),
    (_set("datatype", "FP16"), "FP16 has no typed contents; use raw_input_contents"),
    (_shape(2, 3), "int_contents has 3 elements, the shape [2, 3] takes 6"),
    (_shape(-1, 3), 'inputs[0] "left": shape has a negative dimension, -1'),
    (_shape(2**40, 2**40), 'inputs[0] "left": shape has more than'),
    (
        lambda r: r.inputs[0].parameters["shape"].CopyFrom(pb.InferParameter(int64_param=1)),
        'inputs[0] "left": there is no parameter "shape"',
    ),
    (lambda r: r.parameters["empty"].SetInParent(), 'parameters: "empty" has no value'),
    (
        lambda r: r.parameters["priority"].CopyFrom(pb.InferParameter(string_param="high")),
        "parameters.priority: must be an integer",
    ),
    (
        lambda r: r.parameters["timeout"].CopyFrom(pb.InferParameter(int64_param=-1)),
        "parameters.timeout: must be a non-negative integer",
    ),
    (lambda r: r.outputs.add(), "outputs[0]: name must be a string that is not empty"),
    (lambda r: r.outputs.extend([_SUM] * 2), "is there twice"),
    (lambda r: r.outputs.add(name="som"), 'the model has no output "som"; it gives "sum"'),
    (lambda r: r.inputs.pop(), '"text" is missing'),
    (_shape(3), '"left": shape is [3], the model takes [-1, 3]'),
    (
        lambda r: r.inputs[2].CopyFrom(r.inputs[0]) or setattr(r.inputs[2], "name", "text"),
        '"text": datatype is INT32, the model takes BYTES',
    ),
]
RAW: list[tuple[Change, str]] = [
    (lambda r: r.raw_input_contents.pop(), "raw_input_contents: there are 2, for 3 inputs"),
    (lambda r: r.raw_input_contents.append(b""), "raw_input_contents: there are 4, for 3 inputs"),
    (
        lambda r: r.inputs[0].contents.int_contents.append(1),
        'inputs[0] "left": contents and raw_input_contents may not be mixed',
    ),
    (lambda r: r.raw_input_contents.__setitem__(0, bytes(11)), 'inputs[0] "left":'),
    (lambda r: r.raw_input_contents.__setitem__(2, b"\xff\0\0\0abc"), 'inputs[2] "text":'),
]


@pytest.mark.parametrize(("change", "sentence"), TYPED)
def test_typed_requests(stub: Any, metadata: Any, change: Change, sentence: str) -> None:
    request = typed()
    change(request)

    _refused(stub, metadata, request, sentence)


@pytest.mark.parametrize(("change", "sentence"), RAW)
def test_raw_requests(stub: Any, metadata: Any, change: Change, sentence: str) -> None:
    request = raw()
    change(request)

    _refused(stub, metadata, request, sentence)


def _refused(stub: Any, metadata: Any, request: pb.ModelInferRequest, sentence: str) -> None:
    """The same over the unary call, and on a stream, which goes on."""
    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(request, metadata=metadata)
    assert refused.value.code() is INVALID
    assert sentence in refused.value.details()
    first, second = stub.ModelStreamInfer(iter([request, typed()]), metadata=metadata)
    assert sentence in first.error_message
    assert second.infer_response.id == "7"


def test_shared_memory_is_not_offered(stub: Any, metadata: Any) -> None:
    request = typed()
    request.inputs[0].parameters["shared_memory_region"].string_param = "r"

    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(request, metadata=metadata)

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_bytes_that_are_no_message_end_one_call(mesh: Mesh, metadata: Any) -> None:
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as refused:
            infer(b"\xff" * 64, metadata=metadata, timeout=10.0)
        assert refused.value.code() is INVALID
        assert refused.value.details() == "the message can't be decoded"

        assert infer(typed().SerializeToString(), metadata=metadata, timeout=10.0)


def test_bytes_that_are_no_message_end_nothing_on_a_stream(mesh: Mesh, metadata: Any) -> None:
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        infer = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        sent = [typed().SerializeToString(), b"\xff" * 64, typed().SerializeToString()]
        found = [
            pb.ModelStreamInferResponse.FromString(answer)
            for answer in infer(iter(sent), metadata=metadata, timeout=10.0)
        ]

    said = ["", "the message can't be decoded", ""]
    assert [answer.error_message for answer in found] == said
    assert [answer.infer_response.id for answer in found] == ["7", "", "7"]


LONG = "a" * 100_000


@pytest.mark.parametrize(
    ("call", "message", "field"),
    [
        ("ModelReady", pb.ModelReadyRequest(name=LONG), "name"),
        ("ModelMetadata", pb.ModelMetadataRequest(name="several", version=LONG), "version"),
        ("ModelConfig", pb.ModelConfigRequest(name=LONG), "name"),
        ("ModelStatistics", pb.ModelStatisticsRequest(name=LONG), "name"),
        ("ModelInfer", pb.ModelInferRequest(model_name=LONG), "model_name"),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name=LONG), "model_name"),
        ("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name=LONG), "model_name"),
    ],
)
def test_names_that_no_status_could_repeat_are_refused(
    stub: Any, admin_bearer: dict[str, str], call: str, message: Any, field: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        getattr(stub, call)(message, metadata=tuple(admin_bearer.items()))
    assert refused.value.code() is INVALID
    assert refused.value.details() == f"{field}: is longer than 256 characters"


def test_unknown_calls_are_unimplemented(mesh: Mesh, metadata: Any) -> None:
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        trace = channel.unary_unary("/inference.GRPCInferenceService/TraceSetting")
        with pytest.raises(grpc.RpcError) as refused:
            trace(b"", metadata=metadata, timeout=10.0)

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("name", "version", "sentence"),
    [
        ("missing", "", 'model "missing" is not found'),
        ("", "", 'model "" is not found'),
        ("several", "9", 'model "several" has no version "9"'),
    ],
)
def test_models_that_are_not_there(
    stub: Any, metadata: Any, name: str, version: str, sentence: str
) -> None:
    request = typed()
    request.model_name, request.model_version = name, version

    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(request, metadata=metadata)

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert refused.value.details() == sentence
