"""Raw stubs of the protocol: tensors in typed contents instead of bytes, and standard health."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chaos.mesh import Mesh
from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.integration.mesh_models import echo_name

Metadata = tuple[tuple[str, str], ...]


@pytest.fixture
def channel(mesh: Mesh) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.Channel) -> Any:
    return GRPCInferenceServiceStub(channel)


@pytest.fixture
def metadata(bearer: dict[str, str]) -> Metadata:
    return tuple(bearer.items())


@pytest.mark.parametrize(
    ("datatype", "field", "elements"),
    [
        ("BOOL", "bool_contents", [True, False]),
        ("INT8", "int_contents", [-128, 127]),
        ("INT16", "int_contents", [-(2**15), 2**15 - 1]),
        ("INT32", "int_contents", [-(2**31), 2**31 - 1]),
        ("INT64", "int64_contents", [-(2**63), 2**63 - 1]),
        ("UINT8", "uint_contents", [0, 255]),
        ("UINT16", "uint_contents", [0, 65535]),
        ("UINT32", "uint_contents", [0, 2**32 - 1]),
        ("UINT64", "uint64_contents", [0, 2**64 - 1]),
        ("FP32", "fp32_contents", [0.5, -0.25]),
        ("FP64", "fp64_contents", [0.1, -5e-324]),
        ("BYTES", "bytes_contents", [b"", b"\xff\x00"]),
    ],
)
def test_typed_tensors_are_answered_typed(
    stub: Any, metadata: Metadata, datatype: str, field: str, elements: list[Any]
) -> None:
    contents = pb.InferTensorContents(**{field: elements})
    tensor = pb.ModelInferRequest.InferInputTensor(
        name="x", datatype=datatype, shape=[1, 2], contents=contents
    )

    reply = stub.ModelInfer(
        pb.ModelInferRequest(model_name=echo_name(datatype), inputs=[tensor]), metadata=metadata
    )

    assert list(getattr(reply.outputs[0].contents, field)) == elements
    assert list(reply.outputs[0].shape) == [1, 2]
    assert not reply.raw_output_contents


def test_half_floats_have_no_typed_form(stub: Any, metadata: Metadata) -> None:
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP16", shape=[1, 2])

    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(
            pb.ModelInferRequest(model_name=echo_name("FP16"), inputs=[tensor]), metadata=metadata
        )

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "FP16 has no typed contents; use raw_input_contents" in refused.value.details()


def test_index_of_what_is_ready(stub: Any, metadata: Metadata) -> None:
    found = stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True), metadata=metadata)

    assert {each.state for each in found.models} == {"READY"}


def test_the_standard_health_protocol_needs_no_token(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)

    for service in ("", "inference.GRPCInferenceService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5.0)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_health_watch_begins_with_the_present_state(channel: grpc.Channel) -> None:
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=5.0)

    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()
