"""OpenAI's objects cross the exchange with everything that is in them."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos import exchange_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.exchange_calls import decode_requests, encode_call, frame
from protos.exchange_objects import bytes_of
from protos.exchange_parts import decode_parts, encode_failure, encode_part, reply_frame
from protos.values import Chat, Embedding, Prompt, Tensor, Tensors
from tests.protos.any_tensors import request

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)
OBJECTS = st.builds(
    lambda kind, body: kind(body),
    st.sampled_from([Chat, Prompt, Embedding]),
    st.dictionaries(KEYS, VALUES, max_size=4),
)


def sent(payload):
    (call,) = decode_requests(frame([encode_call(7, request(payload))])).calls
    return call


def answered(part):
    ((call_id, found, executed),) = decode_parts(reply_frame([part]))
    assert (call_id, executed) == (7, True)
    return found


@settings(deadline=None, max_examples=100)
@given(OBJECTS)
def test_an_object_reaches_the_backend_and_comes_back_as_it_was(payload):
    there = sent(payload).openai
    assert there == payload
    part = answered(encode_part(7, there, "1", final=False))
    assert part.payload == payload
    assert list(part.payload.body) == list(payload.body)
    assert not part.final


def test_a_call_of_tensors_has_no_object():
    assert sent(Tensors((Tensor("x", "FP32", (1,), bytes(4)),))).openai is None


def test_an_object_says_how_large_it_was():
    body = {"model": "m", "messages": [{"role": "user", "content": "é"}]}
    size = len(orjson.dumps(body))
    assert bytes_of(Chat(body)) == size
    assert sent(Chat(body)).openai.size == size


@pytest.mark.parametrize("body", [b"[]", b"{", b"", b"1"])
def test_what_is_no_json_object_is_refused_on_either_side(body):
    call = pb.RequestFrame()
    call.calls.add(id=7, object=pb.CHAT, body=body)
    ((_, error),) = decode_requests(call.SerializeToString()).calls
    assert error.kind is Kind.INVALID

    frame = pb.ReplyFrame()
    frame.parts.add(id=7, object=pb.CHAT, body=body)
    ((_, error, _),) = decode_parts(frame.SerializeToString())
    assert error.kind is Kind.BAD_REPLY


def test_a_kind_of_object_that_a_newer_gateway_knows_is_refused():
    frame = pb.RequestFrame()
    frame.calls.add(id=7, object=9, body=b"{}")
    ((_, error),) = decode_requests(frame.SerializeToString()).calls
    assert "9 isn't known" in error.message


def test_an_error_keeps_the_field_at_fault_and_its_name():
    given_error = PenstockError(Kind.INVALID, "too long", param="messages", code="context_length")
    part = encode_failure(7, given_error, executed=False)
    ((_, error, _),) = decode_parts(reply_frame([part]))
    assert (error.kind, error.param, error.code) == (Kind.INVALID, "messages", "context_length")
