"""Pieces of JSON Schema (2020-12) that the REST face's schemas are made of."""

from typing import Any

from protos.datatypes import DATATYPES
from protos.names import MAX_CHARACTERS

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
TEXT: Schema = {"type": "string", "maxLength": MAX_CHARACTERS}
NAME: Schema = {**TEXT, "minLength": 1}
BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
DATATYPE: Schema = {"enum": list(DATATYPES)}
SCALAR: Schema = {"type": ["boolean", "number", "string"]}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def exact(properties: dict[str, Schema], *optional: str, **more: Any) -> Schema:
    """An object with these members and no others; all are required but the optional ones."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
        **more,
    }


def open_object(
    properties: dict[str, Schema], *required: str, others: Schema = SCALAR, **more: Any
) -> Schema:
    """An object with these members and any `others`."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": others,
        **more,
    }
