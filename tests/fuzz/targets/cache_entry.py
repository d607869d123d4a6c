"""Kept answers as another process's bytes would be, if they had the right seal."""

from policies.cache.entry import decode, encode
from policies.cache.seal import Seal
from protos.arrays import mismatch
from protos.datatypes import DATATYPES
from protos.values import Tensors

SEAL = Seal(b"a secret for fuzzing, and only for it")
NAME = bytes(32)


def one(data: bytes) -> None:
    assert SEAL.open(NAME, data) is None
    try:
        parts = decode(data)
    except ValueError:
        return
    for part in parts:
        if isinstance(part.payload, Tensors):
            for tensor in part.payload.tensors:
                assert tensor.datatype in DATATYPES
                assert tensor.datatype in ("BYTES", "BOOL") or mismatch(tensor) is None
    assert decode(encode(parts, 0.0, 1.0)) == parts
