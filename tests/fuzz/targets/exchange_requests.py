"""Frames that a backend reads; a call that can't be read is refused alone, in a sentence."""

from protos.errors import PenstockError
from protos.exchange_calls import decode_requests
from protos.exchange_parts import decode_parts, encode_failure, reply_frame
from tests.fuzz.refusing import check_sentence, refusing


def one(data: bytes) -> None:
    with refusing():
        requests = decode_requests(data)
        for call in requests.calls:
            if isinstance(call, tuple):
                call_id, error = call
                check_sentence(error.message)
                failed = encode_failure(call_id, error, executed=False)
                ((told_id, told, executed),) = decode_parts(reply_frame([failed]))
                assert isinstance(told, PenstockError)
                assert (told_id, told.message, executed) == (call_id, error.message, False)
            else:
                assert call.inputs.keys() == call.datatypes.keys()
