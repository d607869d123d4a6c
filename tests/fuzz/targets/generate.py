"""Triton's generate requests, for a model with an input of each kind."""

from protos.arrays import mismatch
from protos.v2_generate import decode_request
from protos.values import Signature, TensorSpec
from tests.fuzz.refusing import refusing

MODEL = Signature(
    "python",
    (
        TensorSpec("text_input", "BYTES", (-1,)),
        TensorSpec("numbers", "FP32", (-1, -1), optional=True),
        TensorSpec("flag", "BOOL", (1,), optional=True),
        TensorSpec("small", "UINT8", (-1, 2, 2), optional=True),
        TensorSpec("count", "INT64", (1,), optional=True),
    ),
    (),
)


def one(data: bytes) -> None:
    with refusing():
        decoded = decode_request(data, MODEL)
        for tensor in decoded.payload.tensors:
            assert mismatch(tensor) is None
