"""JSON Schemas of inference requests and replies, made from the codecs' table of datatypes.

Two rules of the protocol are beyond JSON Schema and stand in descriptions: that `data` has as many
elements as `shape`, and that integers are written without a fraction.
"""

import numpy as np

from gateway.http.openapi_values import (
    BOOLEAN,
    COUNT,
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
from protos.arrays import MAX_DIMENSIONS
from protos.datatypes import DATATYPES, Datatype
from protos.json_writer import RAW_ONLY
from protos.names import MAX_TENSORS
from protos.schedule import MAX_PRIORITY


def tensor_schemas() -> dict[str, Schema]:
    """Components by name."""
    rows = [row for row in DATATYPES.values() if row.name not in RAW_ONLY]
    shape = array(COUNT, maxItems=MAX_DIMENSIONS)
    hints = exact({"content_type": STRING}, "content_type")
    size = {"type": "integer", "minimum": 0, "description": "Bytes of the tensor after the JSON."}
    binary = exact({"binary_data_size": size, "content_type": STRING}, "content_type")
    sent_binary = {"name": NAME, "datatype": DATATYPE, "shape": shape}
    binary_input = exact(
        {**sent_binary, "parameters": binary},
        description="Its data follow the JSON: little-endian, in row-major order; elements of"
        " BYTES have their length before them in four bytes.",
    )
    binary_output = exact({**sent_binary, "parameters": exact({"binary_data_size": size})})
    return {
        "InferRequest": exact(
            {
                "id": TEXT,
                "parameters": ref("RequestParameters"),
                "inputs": array(
                    {"oneOf": [ref("InputTensor"), binary_input]}, minItems=1, maxItems=MAX_TENSORS
                ),
                "outputs": array(
                    exact(
                        {
                            "name": NAME,
                            "parameters": exact({"binary_data": BOOLEAN}, "binary_data"),
                        },
                        "parameters",
                    ),
                    maxItems=MAX_TENSORS,
                    description="The outputs that are wanted; without it all.",
                ),
            },
            "id",
            "parameters",
            "outputs",
        ),
        "RequestParameters": open_object(
            {
                "priority": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": MAX_PRIORITY,
                    "description": "1 is the highest, 0 the model's default.",
                },
                "timeout": {**COUNT, "description": "Microseconds that the request may take."},
                "binary_data_output": {
                    "type": "boolean",
                    "description": "Outputs are binary unless `binary_data` says otherwise.",
                },
            },
            description="All others go on to the model.",
        ),
        "InferReply": exact(
            {
                "model_name": NAME,
                "model_version": STRING,
                "id": STRING,
                "parameters": open_object({}),
                "outputs": array({"oneOf": [ref("OutputTensor"), binary_output]}),
            },
            "id",
            "parameters",
        ),
        "InputTensor": {
            "description": "FP16 and BF16 have no form in JSON and travel as binary data only.",
            "oneOf": [
                exact(
                    {
                        "name": NAME,
                        "datatype": {"const": row.name},
                        "shape": shape,
                        "parameters": hints,
                        "data": ref(f"{row.name}.Data"),
                    },
                    "parameters",
                )
                for row in rows
            ],
        },
        "OutputTensor": {
            "oneOf": [
                exact(
                    {
                        "name": NAME,
                        "datatype": {"const": row.name},
                        "shape": shape,
                        "data": array(_element(row)),
                    }
                )
                for row in rows
            ]
        },
        **{
            f"{row.name}.Data": array(
                {"anyOf": [_element(row), ref(f"{row.name}.Data")]},
                description="As many elements as the shape takes, flat or nested as it says.",
            )
            for row in rows
        },
    }


def _element(row: Datatype) -> Schema:
    """One element of a datatype that JSON can carry."""
    match row.kind:
        case "bool":
            return BOOLEAN
        case "bytes":
            return STRING
        case "float":
            largest = float(np.finfo(row.dtype).max)
            return {"type": "number", "minimum": -largest, "maximum": largest}
        case _:
            limits = np.iinfo(row.dtype)
            return {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}
