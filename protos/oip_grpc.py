"""The Open Inference Protocol's gRPC messages to values and back.

Requests carry tensors raw or typed, never both; replies are raw, as Triton's are, unless typed ones
are asked for (a proxy that transcodes to JSON needs those).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from protos import open_inference_pb2 as pb
from protos.arrays import count, join_bytes, mismatch, split_bytes, unknown_datatype
from protos.datatypes import DATATYPES, Datatype
from protos.errors import invalid
from protos.exchange_wire import INT64
from protos.names import check_count, check_name, check_text, check_unique
from protos.tensor_parameters import HINTS, refusal
from protos.values import NO_PARAMETERS, Parameters, Part, Tensor, Tensors
from protos.wording import quote

# The field of InferTensorContents that holds each datatype; the others travel raw only.
_CONTENTS = {
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
# int_contents and uint_contents hold more than the narrow datatypes do.
_WIDE = {"int_contents": "<i4", "uint_contents": "<u4"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """An inference request as its message says; `typed` if its tensors were not raw."""

    model: str
    version: str
    id: str
    payload: Tensors
    parameters: Parameters
    typed: bool


def decode_request(message: pb.ModelInferRequest) -> Decoded:
    """Raises PenstockError INVALID with the field's path; UNIMPLEMENTED for shared memory."""
    model = check_text(message.model_name, "model_name")
    version = check_text(message.model_version, "model_version")
    request_id = check_text(message.id, "id")
    raw = message.raw_input_contents
    if not message.inputs:
        raise invalid("inputs: there must be at least one")
    if raw and len(raw) != len(message.inputs):
        raise invalid(f"raw_input_contents: there are {len(raw)}, for {len(message.inputs)} inputs")
    check_count(len(message.inputs), "inputs")
    check_count(len(message.outputs), "outputs")
    tensors = []
    for i, each in enumerate(message.inputs):
        name = check_name(each.name, f"inputs[{i}]")
        where = f"inputs[{i}] {quote(name)}"
        _check_parameters(each.parameters, where)
        shape = tuple(each.shape)
        if not raw:
            data = _typed_data(each, shape, where)
        elif each.HasField("contents") and each.contents.ListFields():
            raise invalid(f"{where}: contents and raw_input_contents may not be mixed")
        else:
            data = raw[i]
        tensor = Tensor(name, each.datatype, shape, data)
        why = mismatch(tensor)
        if why is not None:
            raise invalid(f"{where}: {why}")
        tensors.append(tensor)
    check_unique([tensor.name for tensor in tensors], "inputs")
    wanted = []
    for i, output in enumerate(message.outputs):
        check_name(output.name, f"outputs[{i}]")
        _check_parameters(output.parameters, f"outputs[{i}] {quote(output.name)}")
        wanted.append(output.name)
    check_unique(wanted, "outputs")
    return Decoded(
        model,
        version,
        request_id,
        Tensors(tuple(tensors), tuple(wanted)),
        _parameters(message.parameters) if message.parameters else NO_PARAMETERS,
        not raw,
    )


def _check_parameters(parameters: Mapping[str, pb.InferParameter], where: str) -> None:
    for key in parameters:
        if key not in HINTS:
            raise refusal(key, where)


def _parameters(parameters: Mapping[str, pb.InferParameter]) -> dict[str, bool | int | float | str]:
    found: dict[str, bool | int | float | str] = {}
    for name, parameter in parameters.items():
        which = parameter.WhichOneof("parameter_choice")
        if which is None:
            raise invalid(f"parameters: {quote(name)} has no value")
        found[name] = getattr(parameter, which)
    return found


def _typed_data(
    message: pb.ModelInferRequest.InferInputTensor, shape: tuple[int, ...], where: str
) -> bytes:
    row = DATATYPES.get(message.datatype)
    if row is None:
        raise invalid(f"{where}: {unknown_datatype(message.datatype)}")
    wanted = _CONTENTS.get(row.name)
    if wanted is None:
        raise invalid(f"{where}: {row.name} has no typed contents; use raw_input_contents")
    for field, _ in message.contents.ListFields():
        if field.name != wanted:
            raise invalid(f"{where}: {row.name} belongs into {wanted}, there is {field.name}")
    elements = getattr(message.contents, wanted)
    try:
        expected = count(shape)
    except ValueError as error:
        raise invalid(f"{where}: {error}") from None
    if len(elements) != expected:
        raise invalid(
            f"{where}: {wanted} has {len(elements)} elements, "
            f"the shape {list(shape)} takes {expected}"
        )
    return join_bytes(elements) if row.kind == "bytes" else _packed(elements, row, wanted, where)


def _packed(elements: Any, row: Datatype, field: str, where: str) -> bytes:
    wide = np.fromiter(elements, _WIDE.get(field, row.dtype), len(elements))
    if wide.dtype == row.dtype:
        return wide.tobytes()
    narrow = wide.astype(row.dtype)
    wrong = np.flatnonzero(narrow != wide)
    if wrong.size:
        limits = np.iinfo(row.dtype)
        raise invalid(
            f"{where}: {field}[{wrong[0]}] is outside {row.name}'s range, "
            f"{limits.min} to {limits.max}"
        )
    return narrow.tobytes()


def encode_reply(
    model: str, request_id: str, part: Part, *, typed: bool = False
) -> pb.ModelInferResponse:
    """Raises PenstockError INVALID if `typed` is asked for and an output's datatype has no such."""
    reply = pb.ModelInferResponse(model_name=model, model_version=part.version, id=request_id)
    for name, value in part.parameters.items():
        reply.parameters[name].CopyFrom(_parameter(value))
    for tensor in part.payload.tensors:
        output = reply.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if typed:
            _fill(output, tensor)
        else:
            reply.raw_output_contents.append(bytes(tensor.data))
    return reply


def _parameter(value: bool | int | float | str) -> pb.InferParameter:
    if isinstance(value, bool):
        return pb.InferParameter(bool_param=value)
    if isinstance(value, int):
        if value in INT64:
            return pb.InferParameter(int64_param=value)
        return pb.InferParameter(uint64_param=value)
    if isinstance(value, str):
        return pb.InferParameter(string_param=value)
    return pb.InferParameter(double_param=value)


def _fill(output: pb.ModelInferResponse.InferOutputTensor, tensor: Tensor) -> None:
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        raise invalid(
            f"output {quote(tensor.name)}: {tensor.datatype} has no typed contents; ask for raw"
        )
    row = DATATYPES[tensor.datatype]
    if row.kind == "bytes":
        elements: list[Any] = split_bytes(tensor.data)
    else:
        elements = np.frombuffer(tensor.data, row.dtype).tolist()
    getattr(output.contents, field).extend(elements)
