"""A model's interface as the messages of the Open Inference Protocol's control side."""

from collections.abc import Iterable

from protos import open_inference_pb2 as pb
from protos.values import Signature, TensorSpec


def metadata_message(
    name: str, versions: Iterable[str], signature: Signature
) -> pb.ModelMetadataResponse:
    """What ModelMetadata answers."""
    return pb.ModelMetadataResponse(
        name=name,
        versions=versions,
        platform=signature.platform,
        inputs=[_tensor(spec) for spec in signature.inputs],
        outputs=[_tensor(spec) for spec in signature.outputs],
    )


def _tensor(spec: TensorSpec) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(
        name=spec.name, datatype=spec.datatype, shape=spec.shape
    )


def data_type(datatype: str) -> int:
    """Triton's enumeration of datatypes calls BYTES a string."""
    return pb.DataType.Value("TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}")
