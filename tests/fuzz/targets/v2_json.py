"""REST V2 requests: JSON, or JSON with binary tensors behind it.

The first two bytes are the header Inference-Header-Content-Length, 65535 meaning that there is
none. What is taken is a request whose tensors are what they say, and that is still the same when
it is written in the other form.
"""

import json

import orjson

from protos.arrays import mismatch, to_array
from protos.errors import Kind
from protos.json_writer import data_for_json
from protos.v2_json import Decoded, decode_request
from protos.values import Signature, Tensor, TensorSpec
from tests.fuzz.refusing import refusing

ONE_INPUT = Signature("python", (TensorSpec("x", "FP32", (-1, 2)),), (), 8)
NO_HEADER = 65535


def one(data: bytes) -> None:
    header, body = int.from_bytes(data[:2], "little"), data[2:]
    with refusing():
        decoded = decode_request(body, None if header == NO_HEADER else header, ONE_INPUT)
        for tensor in decoded.payload.tensors:
            assert mismatch(tensor) is None
        if header == NO_HEADER:
            # What simdjson reads strictly, everybody reads.
            assert json.loads(body)["inputs"][0]["name"] == decoded.payload.tensors[0].name
        if header:
            _again(decoded)


def _again(decoded: Decoded) -> None:
    """The same tensors in binary form are the same request, and so are those that JSON can tell."""
    tensors = decoded.payload.tensors
    binary = [
        {**_head(each), "parameters": {"binary_data_size": len(each.data)}} for each in tensors
    ]
    head = orjson.dumps({"inputs": binary})
    data = b"".join([bytes(each.data) for each in tensors])
    assert _same(decode_request(head + data, len(head)).payload.tensors, tensors)
    if any(each.datatype in ("FP16", "BF16") for each in tensors):
        return  # which only travel in binary form
    with refusing(Kind.BAD_REPLY):  # bytes that are no text, and numbers that are not finite
        told = [{**_head(each), "data": data_for_json(each)} for each in tensors]
        body = orjson.dumps({"inputs": told}, option=orjson.OPT_SERIALIZE_NUMPY)
        assert _same(decode_request(body).payload.tensors, tensors)


def _head(tensor: Tensor) -> dict[str, object]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}


def _same(left: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> bool:
    return list(map(_plain, left)) == list(map(_plain, right))


def _plain(tensor: Tensor) -> tuple[str, tuple[int, ...], object]:
    array = to_array(tensor)
    same = array.tolist() if tensor.datatype == "BYTES" else array.tobytes()
    return tensor.name, tensor.shape, same
