"""Triton's generate endpoints: one flat JSON object in, one out or one for each event.

Keys that are inputs of the model become tensors, all others (and the members of `parameters`) are
parameters. A scalar becomes a tensor of one element, a list has its own shape; dimensions of one go
before it up to the rank that the model wants.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from protos import sse
from protos.datatypes import DATATYPES
from protos.errors import Kind, PenstockError, invalid
from protos.json_reader import Array, Object, fields, parse_object
from protos.json_writer import data_for_json, finite
from protos.names import check_text
from protos.v2_data import from_list, from_scalar
from protos.values import Parameters, Part, Signature, Tensor, Tensors, TensorSpec
from protos.wording import quote


@dataclass(frozen=True, slots=True)
class Decoded:
    """A generate request as its body says; `id` is empty if it has none."""

    id: str
    payload: Tensors
    parameters: Parameters


def decode_request(body: bytes, signature: Signature) -> Decoded:
    """Raises PenstockError INVALID naming the key at fault."""
    given = fields(parse_object(body), "")
    tensors = [
        _tensor(spec, given.pop(spec.name)) for spec in signature.inputs if spec.name in given
    ]
    request_id = check_text(given.pop("id", ""), "id")
    more = given.pop("parameters", None)
    parameters = {key: _parameter(key, value) for key, value in given.items()}
    if isinstance(more, Object):
        for key, value in fields(more, "parameters").items():
            if key in parameters:
                raise invalid(f"parameters: {quote(key)} is given twice")
            parameters[key] = _parameter(f"parameters.{key}", value)
    elif more is not None:
        raise invalid("parameters: must be an object")
    return Decoded(request_id, Tensors(tuple(tensors)), parameters)


def _parameter(key: str, value: Any) -> bool | int | float | str:
    if type(value) not in (bool, int, float, str):
        raise invalid(
            f"{quote(key)} is no input of the model, "
            "and parameters are booleans, numbers or strings"
        )
    return value  # type: ignore[no-any-return]


def _tensor(spec: TensorSpec, value: Any) -> Tensor:
    where = quote(spec.name)
    row = DATATYPES[spec.datatype]
    if isinstance(value, Array):
        data, own = from_list(value.as_list(), row, where)
    else:
        data, own = from_scalar(value, row, where), ()
    rank = len(spec.shape)
    if len(own) > rank:
        raise invalid(f"{where}: is nested deeper than the model's shape {list(spec.shape)}")
    return Tensor(spec.name, spec.datatype, (1,) * (rank - len(own)) + own, data)


def encode_reply(model: str, part: Part, request_id: str = "") -> bytes:
    """The outputs by name, those of one element as scalars, with the model and its version.

    Raises PenstockError as `data_for_json` does.
    """
    reply: dict[str, Any] = {"model_name": model, "model_version": part.version}
    if request_id:
        reply["id"] = request_id
    found: dict[str, Any] = {tensor.name: _value(tensor) for tensor in part.payload.tensors}
    for key in (*found, *part.parameters):
        if key in reply or (key in found and key in part.parameters):
            raise PenstockError(Kind.BAD_REPLY, f"two things in the reply are named {quote(key)}")
    return orjson.dumps(reply | found | finite(part.parameters), option=orjson.OPT_SERIALIZE_NUMPY)


def _value(tensor: Tensor) -> Any:
    data = data_for_json(tensor)
    if len(data) != 1:
        return data
    # Kept as NumPy's scalar, which orjson writes in the shortest digits of its own precision.
    return data[0]


def encode_event(model: str, part: Part, request_id: str = "") -> bytes:
    return sse.encode(encode_reply(model, part, request_id))


def encode_error(error: PenstockError) -> bytes:
    """The last event of a stream that fails midway: its status has long been sent."""
    return sse.encode(orjson.dumps({"error": error.message}))
