"""Parts on the exchange: what a backend writes its gateway reads, and nothing else passes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos import exchange_pb2 as pb
from protos.arrays import to_tensor
from protos.errors import Kind, PenstockError, Timing, invalid
from protos.exchange_parts import decode_parts, encode_failure, encode_part, reply_frame
from protos.values import Part, Tensor
from tests.protos.any_tensors import parameters, payloads

X = Tensor("x", "FP32", (1, 2), bytes(8))


def reply_of(**fields):
    reply = pb.ReplyFrame()
    reply.parts.add(**fields)
    (found,) = decode_parts(reply.SerializeToString())
    return found


@settings(deadline=None, max_examples=100)
@given(payloads(), parameters, st.booleans())
def test_a_part_reaches_the_gateway_as_it_was(payload, given_parameters, final):
    wire = encode_part(
        2**40,
        payload.tensors,
        "3",
        final=final,
        parameters=given_parameters,
        queue_us=5,
        compute_us=2**33,
        batch_rows=16,
        padded_rows=32,
    )
    ((call_id, part, executed),) = decode_parts(reply_frame([wire]))
    assert call_id == 2**40
    assert part == Part(payload, "3", given_parameters, final, 5, 2**33, 16, 32)
    assert executed


def test_parts_of_many_calls_share_a_frame():
    parts = [encode_part(i, (X,), "3") for i in range(200)]
    found = decode_parts(reply_frame(parts))
    assert [call_id for call_id, _, _ in found] == list(range(200))


def test_a_large_view_of_an_array_is_framed_without_loss():
    array = np.arange(100_000, dtype=np.float32)
    wire = encode_part(1, [to_tensor("y", array)], "3")
    ((_, part, _),) = decode_parts(reply_frame([wire]))
    assert bytes(part.payload.tensors[0].data) == array.tobytes()


@pytest.mark.parametrize("executed", [True, False])
def test_a_failure_keeps_its_kind_sentence_and_time(executed):
    error = PenstockError(Kind.OVERLOADED, "full \ud800", retry_after=0.25)
    wire = encode_failure(7, error, executed=executed)
    ((call_id, found, was_executed),) = decode_parts(reply_frame([wire]))
    assert (call_id, was_executed) == (7, executed)
    assert (found.kind, found.message, found.retry_after) == (Kind.OVERLOADED, "full ?", 0.25)
    assert found.timing is None


def test_a_failure_tells_how_far_it_got():
    timing = Timing(20, 300, 4, 8)
    wire = encode_failure(7, PenstockError(Kind.MODEL_FAILED, "no"), executed=True, timing=timing)
    ((_, found, _),) = decode_parts(reply_frame([wire]))
    assert found.timing == timing


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"outputs": [pb.Tensor(name="y", datatype="FP32", shape=[3], data=b"1")]}, 'output "y"'),
        ({"outputs": [pb.Tensor(name="y", datatype="F", shape=[0])]}, "no datatype"),
        ({"outputs": [pb.Tensor(name="y", datatype="BOOL", shape=[0])] * 2}, "the same name"),
        ({"parameters": {"p": pb.Parameter()}}, '"p" has no value'),
        ({"status": 4_000}, "unknown status 4000"),
    ],
)
def test_a_reply_that_disagrees_with_itself_is_a_bad_reply_of_its_call(fields, why):
    call_id, error, _ = reply_of(id=9, **fields)
    assert call_id == 9
    assert error.kind is Kind.BAD_REPLY
    assert why in error.message


def test_errors_about_input_keep_their_sentence():
    wire = encode_failure(1, invalid("inputs: no"), executed=False)
    ((_, error, _),) = decode_parts(reply_frame([wire]))
    assert (error.kind, error.message, error.retry_after) == (Kind.INVALID, "inputs: no", None)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    try:
        decode_parts(data)
        kind = Kind.BAD_REPLY
    except PenstockError as error:
        kind = error.kind
    assert kind is Kind.BAD_REPLY


def test_a_failure_without_end_is_told_as_far_as_anybody_reads():
    _, error, _ = reply_of(id=1, status=Kind.INVALID, message="x" * 5000, param="p" * 5000)
    assert len(error.message) == 2048
    assert error.message.endswith("x…")
    assert len(error.param) == 256
    _, error, _ = reply_of(id=1, status=Kind.INVALID)
    assert error.message == "the backend gave no reason"
