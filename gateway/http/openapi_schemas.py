"""JSON Schemas of everything but tensors, some made from the protocol's messages themselves."""

from collections.abc import Iterator
from typing import Any

from gateway.http.openapi_tensors import tensor_schemas
from gateway.http.openapi_values import (
    BOOLEAN,
    DATATYPE,
    NAME,
    STRING,
    TEXT,
    Schema,
    array,
    exact,
    open_object,
    ref,
)
from gateway.identity import EXTENSIONS
from protos import open_inference_pb2 as pb
from protos.discovery_pb2 import ModelState


def schemas() -> dict[str, Schema]:
    """All components of the document by name."""
    found = {
        "Error": exact({"error": {"type": "string", "description": "One sentence."}}),
        "ServerMetadata": exact(
            {"name": STRING, "version": STRING, "extensions": array({"enum": list(EXTENSIONS)})}
        ),
        "ServerLive": exact({"live": {"const": True}}),
        "ServerReady": exact({"ready": BOOLEAN, "live": BOOLEAN}),
        "ModelReady": exact({"name": NAME, "ready": BOOLEAN}),
        "ModelMetadata": exact(
            {
                "name": NAME,
                "versions": array(STRING),
                "platform": STRING,
                "inputs": array(ref("TensorMetadata")),
                "outputs": array(ref("TensorMetadata")),
            }
        ),
        "TensorMetadata": exact(
            {
                "name": NAME,
                "datatype": DATATYPE,
                "shape": array(
                    {"type": "integer", "minimum": -1}, description="-1 stands for any size."
                ),
            }
        ),
        "IndexRequest": exact(
            {"ready": {"type": "boolean", "description": "Only the versions that are READY."}},
            "ready",
        ),
        "Index": array(
            exact(
                {
                    "name": NAME,
                    "version": STRING,
                    "state": {"enum": list(ModelState.keys())},
                    "reason": STRING,
                }
            )
        ),
        "LoadRequest": exact(
            {
                "parameters": {
                    "type": "object",
                    "maxProperties": 0,
                    "description": "Models are loaded from the repository as they are.",
                }
            },
            "parameters",
        ),
        "Done": exact({}),
        "Statistics": exact({"model_stats": array(ref("ModelStatistics"))}),
        "GenerateRequest": open_object(
            {"id": TEXT, "parameters": open_object({})},
            others={},
            description="Inputs of the model by name, as scalars or (nested) arrays; all other"
            " members, and those of `parameters`, are parameters for it.",
        ),
        "GenerateReply": open_object(
            {"model_name": NAME, "model_version": STRING, "id": STRING},
            "model_name",
            "model_version",
            others={"type": ["boolean", "number", "string", "array"]},
            description="Outputs of the model by name, those of one element as scalars.",
        ),
        **tensor_schemas(),
        **dict(_message_schemas(pb.ModelConfig.DESCRIPTOR)),
        **dict(_message_schemas(pb.ModelStatistics.DESCRIPTOR)),
    }
    return dict(sorted(found.items()))


def _message_schemas(descriptor: Any) -> Iterator[tuple[str, Schema]]:
    """A protobuf message and those inside it as `protos.v2_metadata.to_plain` writes them."""
    properties = {}
    for field in descriptor.fields:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            value = kind.fields_by_name["value"]
            if value.message_type is not None:
                yield from _message_schemas(value.message_type)
            properties[field.name] = open_object({}, others=_field(value))
            continue
        if kind is not None:
            yield from _message_schemas(kind)
        properties[field.name] = array(_field(field)) if field.is_repeated else _field(field)
    optional = [field.name for field in descriptor.fields if field.has_presence]
    yield _component(descriptor), exact(properties, *optional)


def _field(field: Any) -> Schema:
    if field.message_type is not None:
        return ref(_component(field.message_type))
    if field.enum_type is not None:
        return {"enum": list(field.enum_type.values_by_name)}
    if field.cpp_type == field.CPPTYPE_BOOL:
        return BOOLEAN
    if field.cpp_type == field.CPPTYPE_STRING:
        return STRING
    return {"type": "integer"}


def _component(descriptor: Any) -> str:
    return str(descriptor.full_name.removeprefix("inference."))
