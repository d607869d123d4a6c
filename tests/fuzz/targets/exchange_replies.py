"""Frames that a gateway reads: whatever a backend sends, a part or a failure that can be told."""

from protos.arrays import mismatch
from protos.errors import TABLE, Kind, PenstockError
from protos.exchange_parts import decode_parts
from protos.v2_json import BINARY_FORMS, encode_reply
from protos.values import Tensors
from tests.fuzz.refusing import check_sentence, refusing


def one(data: bytes) -> None:
    with refusing(Kind.BAD_REPLY):
        for _, part, _ in decode_parts(data):
            if isinstance(part, PenstockError):
                assert part.kind in TABLE
                if part.message:
                    check_sentence(part.message)
                continue
            if not isinstance(part.payload, Tensors):
                continue
            for tensor in part.payload.tensors:
                assert mismatch(tensor) is None
            with refusing(Kind.BAD_REPLY):
                encode_reply("model", "id", part, BINARY_FORMS)
                encode_reply("model", "id", part)
