"""REST V2's inference requests and replies: JSON, and the binary tensor extension both ways.

With the extension a body is JSON and then the tensors' bytes in order; the header
`Inference-Header-Content-Length` gives the JSON's length, and 0 says that the body is one tensor
and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from protos.arrays import count, mismatch, unknown_datatype
from protos.datatypes import DATATYPES
from protos.errors import invalid
from protos.json_reader import Array, Object, fields, parse_object
from protos.json_writer import data_for_json, finite
from protos.names import check_count, check_name, check_text, check_unique
from protos.tensor_parameters import HINTS, refusal
from protos.v2_data import check_layout, count_arrays, read_data
from protos.v2_raw import read_raw
from protos.values import (
    NO_PARAMETERS,
    Bytes,
    Parameters,
    Part,
    Signature,
    Tensor,
    Tensors,
)
from protos.wording import quote

_REQUEST = frozenset(("id", "parameters", "inputs", "outputs"))
_INPUT = frozenset(("name", "shape", "datatype", "parameters", "data"))
_OUTPUT = frozenset(("name", "parameters"))

# From here on a view of the body costs less than a copy of the part.
_VIEW_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class OutputForms:
    """How the client wants its outputs: `each` by name, `binary` says it for the others."""

    binary: bool = False
    each: Mapping[str, bool] = field(default_factory=dict)

    def is_binary(self, name: str) -> bool:
        return self.each.get(name, self.binary)


JSON_FORMS = OutputForms()
BINARY_FORMS = OutputForms(True)


@dataclass(frozen=True, slots=True)
class Decoded:
    """An inference request as its body says; `id` is empty if it has none."""

    id: str
    payload: Tensors
    parameters: Parameters
    forms: OutputForms


def decode_request(
    body: bytes, header_length: int | None = None, signature: Signature | None = None
) -> Decoded:
    """Reads a body; `header_length` is None where the request has no such header.

    The model's signature is needed for a length of 0 only. Raises PenstockError INVALID with the
    field's path, or UNIMPLEMENTED for shared memory and classification.
    """
    if header_length == 0:
        return Decoded("", Tensors((read_raw(body, signature),)), NO_PARAMETERS, BINARY_FORMS)
    binary = memoryview(b"")
    if header_length is not None:
        if not 0 < header_length <= len(body):
            raise invalid(
                f"Inference-Header-Content-Length is {header_length}, "
                f"the body has {len(body)} bytes"
            )
        binary = memoryview(body)[header_length:]
        body = body[:header_length]
    return _Reader(body, binary).read()


class _Reader:
    """One request while it is read; `_brackets` counts the JSON arrays that were looked into."""

    __slots__ = ("_binary", "_body", "_brackets", "_numeric", "_used")

    def __init__(self, body: bytes, binary: memoryview) -> None:
        self._body = body
        self._binary = binary
        self._used = 0
        self._brackets = 0
        self._numeric: list[tuple[Array, tuple[int, ...], str]] = []

    def read(self) -> Decoded:
        request = fields(parse_object(self._body), "", _REQUEST)
        request_id = check_text(request.get("id", ""), "id")
        parameters = NO_PARAMETERS
        binary = False
        if "parameters" in request:
            found = _parameters(request["parameters"], "parameters")
            binary = _flag(found.pop("binary_data_output", False), "parameters.binary_data_output")
            parameters = found
        inputs = self._array(request, "inputs", "")
        if not len(inputs):
            raise invalid("inputs: there must be at least one")
        check_count(len(inputs), "inputs")
        tensors = tuple([self._input(each, f"inputs[{i}]") for i, each in enumerate(inputs)])
        if len(tensors) > 1:
            check_unique([tensor.name for tensor in tensors], "inputs")
        wanted: tuple[str, ...] = ()
        each_form: dict[str, bool] = {}
        if "outputs" in request:
            outputs = self._array(request, "outputs", "")
            check_count(len(outputs), "outputs")
            wanted = tuple(
                [_output(each, f"outputs[{i}]", each_form) for i, each in enumerate(outputs)]
            )
            check_unique(wanted, "outputs")
        self._check()
        forms = OutputForms(binary, each_form) if binary or each_form else JSON_FORMS
        return Decoded(request_id, Tensors(tensors, wanted), parameters, forms)

    def _check(self) -> None:
        """What can be said of the whole: no bytes are left, no array hides among numbers."""
        if self._used < len(self._binary):
            raise invalid(
                f"{len(self._binary) - self._used} bytes follow the last input's binary data"
            )
        # NumPy counts a large body four times as fast as bytes.count.
        body = self._body
        if len(body) < 1 << 16:
            brackets = body.count(b"[")
        else:
            brackets = int(np.count_nonzero(np.frombuffer(body, np.uint8) == ord("[")))
        if brackets != self._brackets:
            # Either strings have brackets in them, or arrays are where numbers should be.
            for data, shape, where in self._numeric:
                check_layout(data, shape, where)

    def _array(self, found: dict[str, Any], key: str, where: str) -> Array:
        array = found.get(key)
        if not isinstance(array, Array):
            what = "must be an array" if key in found else "is missing"
            raise invalid(f"{where}{key}: {what}")
        self._brackets += 1
        return array

    def _input(self, found: Any, where: str) -> Tensor:
        if not isinstance(found, Object):
            raise invalid(f"{where}: must be an object")
        given = fields(found, where, _INPUT)
        name = check_name(given.get("name"), where)
        where = f"{where} {quote(name)}"
        datatype = given.get("datatype")
        if type(datatype) is not str:
            raise invalid(f"{where}: datatype must be a string")
        row = DATATYPES.get(datatype)
        if row is None:
            raise invalid(f"{where}: {unknown_datatype(datatype)}")
        shape = self._shape(given, where)
        try:
            elements = count(shape)
        except ValueError as error:
            raise invalid(f"{where}: {error}") from None
        size = _input_parameters(given, where) if "parameters" in given else None
        if size is not None:
            if "data" in given:
                raise invalid(f"{where}: there are both data and binary_data_size")
            return self._binary_input(name, datatype, shape, size, where)
        data = self._array(given, "data", f"{where}: ")
        self._brackets -= 1  # count_arrays counts it again
        raw = read_data(data, row, shape, elements, where)
        self._brackets += count_arrays(data, shape, where)
        if row.kind not in ("bytes", "bool"):
            self._numeric.append((data, shape, where))
        return Tensor(name, datatype, shape, raw)

    def _shape(self, given: dict[str, Any], where: str) -> tuple[int, ...]:
        shape: list[Any] = self._array(given, "shape", f"{where}: ").as_list()
        for size in shape:
            if type(size) is not int:
                raise invalid(f"{where}: shape must consist of integers")
        return tuple(shape)

    def _binary_input(
        self, name: str, datatype: str, shape: tuple[int, ...], size: int, where: str
    ) -> Tensor:
        start, end = self._used, self._used + size
        if size < 0 or end > len(self._binary):
            raise invalid(
                f"{where}: binary_data_size is {size}, {len(self._binary) - start} bytes are left"
            )
        self._used = end
        view = self._binary[start:end]
        tensor = Tensor(name, datatype, shape, view if size >= _VIEW_BYTES else bytes(view))
        why = mismatch(tensor)
        if why is not None:
            raise invalid(f"{where}: {why}")
        return tensor


def _parameters(found: Any, where: str) -> dict[str, bool | int | float | str]:
    if not isinstance(found, Object):
        raise invalid(f"{where}: must be an object")
    given = fields(found, where)
    for key, value in given.items():
        if type(value) not in (bool, int, float, str):
            raise invalid(f"{where}: {quote(key)} must be a boolean, a number or a string")
    return given


def _flag(value: bool | int | float | str, where: str) -> bool:
    if type(value) is not bool:
        raise invalid(f"{where}: must be true or false")
    return value


def _input_parameters(given: dict[str, Any], where: str) -> int | None:
    """The size of the input's binary data, if it has any."""
    size = None
    for key, value in _parameters(given["parameters"], f"{where}: parameters").items():
        if key == "binary_data_size":
            if type(value) is not int:
                raise invalid(f"{where}: binary_data_size must be an integer")
            size = value
        elif key not in HINTS:
            raise refusal(key, where, ("binary_data_size",))
    return size


def _output(found: Any, where: str, forms: dict[str, bool]) -> str:
    """The output's name; notes in `forms` what is said about its form."""
    if not isinstance(found, Object):
        raise invalid(f"{where}: must be an object")
    given = fields(found, where, _OUTPUT)
    name = check_name(given.get("name"), where)
    where = f"{where} {quote(name)}"
    if "parameters" in given:
        for key, value in _parameters(given["parameters"], f"{where}: parameters").items():
            if key == "binary_data":
                forms[name] = _flag(value, f"{where}: binary_data")
            else:
                raise refusal(key, where, ("binary_data",))
    return name


def encode_reply(
    model: str, request_id: str, part: Part, forms: OutputForms = JSON_FORMS
) -> tuple[list[Bytes], int | None]:
    """The reply's body in pieces, and the JSON's length if binary data follow it.

    Raises PenstockError INVALID or BAD_REPLY for outputs that JSON can't carry.
    """
    chunks: list[Bytes] = [b""]
    outputs: list[dict[str, Any]] = []
    for tensor in part.payload.tensors:
        output: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": tensor.shape,
        }
        if forms.is_binary(tensor.name):
            output["parameters"] = {"binary_data_size": len(tensor.data)}
            chunks.append(tensor.data)
        else:
            output["data"] = data_for_json(tensor)
        outputs.append(output)
    reply: dict[str, Any] = {"model_name": model, "model_version": part.version}
    if request_id:
        reply["id"] = request_id
    if part.parameters:
        reply["parameters"] = finite(part.parameters)
    reply["outputs"] = outputs
    head = orjson.dumps(reply, option=orjson.OPT_SERIALIZE_NUMPY)
    chunks[0] = head
    return chunks, len(head) if len(chunks) > 1 else None
