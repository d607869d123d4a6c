"""The exchange's messages: what one end encodes the other reads, and nothing else passes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos import exchange_codec as codec
from protos import exchange_pb2 as pb
from protos.arrays import to_tensor
from protos.errors import Kind, PenstockError, invalid
from protos.values import Part, Tensor, Tensors
from tests.protos.any_tensors import parameters, payloads, request

X = Tensor("x", "FP32", (1, 2), bytes(8))


def read_one(frame):
    (call,) = codec.decode_requests(frame).calls
    return call


def reply_of(**fields):
    frame = pb.ReplyFrame()
    frame.parts.add(**fields)
    (found,) = codec.decode_parts(frame.SerializeToString())
    return found


def kind_of_refusal(decode, data):
    try:
        decode(data)
    except PenstockError as error:
        return error.kind
    return None


@settings(deadline=None, max_examples=100)
@given(payloads(), parameters, st.integers(1, 2**63), st.integers(1, 2**63))
def test_a_call_reaches_the_backend_as_it_was(payload, given_parameters, call_id, remaining):
    asked = request(payload, given_parameters, traceparent="00-ab", priority=2, streaming=True)
    wire = codec.stamp(codec.encode_call(call_id, asked), remaining)
    call = read_one(codec.frame([wire]))
    back = [to_tensor(name, array, call.datatypes[name]) for name, array in call.inputs.items()]
    assert tuple(back) == payload.tensors
    assert call.parameters == given_parameters
    assert (call.id, call.remaining_us) == (call_id, remaining)
    assert (call.model, call.version, call.request_id) == ("fraud", "3", "r-1")
    assert (call.tenant, call.traceparent, call.priority) == ("acme", "00-ab", 2)
    assert (call.shadow, call.suspect, call.streaming) == (False, False, True)


def test_a_call_without_a_deadline_has_no_remaining_time():
    wire = codec.encode_call(1, request(Tensors((X,), ("y", "z"))))
    assert codec.stamp(wire, 0) == wire
    call = read_one(codec.frame([wire]))
    assert call.remaining_us == 0
    assert call.wanted == ("y", "z")


def test_a_frame_carries_calls_cancellations_and_credit():
    calls = [codec.encode_call(i, request(Tensors((X,)))) for i in (1, 2**40)]
    found = codec.decode_requests(codec.frame(calls, [3, 2**50], [(4, 5), (6, 2**33)]))
    assert [call.id for call in found.calls] == [1, 2**40]
    assert found.cancels == [3, 2**50]
    assert found.credits == [(4, 5), (6, 2**33)]


def test_a_call_that_cannot_be_read_is_refused_alone():
    good = codec.encode_call(1, request(Tensors((X,))))
    bad = codec.encode_call(2, request(Tensors((Tensor("x", "FP32", (3,), bytes(8)),))))
    first, (call_id, error) = codec.decode_requests(codec.frame([good, bad])).calls
    assert first.id == 1
    assert call_id == 2
    assert error.kind is Kind.INVALID
    assert 'tensor "x"' in error.message


def test_the_same_input_twice_is_refused():
    call = read_one(codec.frame([codec.encode_call(1, request(Tensors((X, X))))]))
    assert isinstance(call, tuple)
    assert '"x" is there twice' in call[1].message


def test_inputs_are_views_that_nobody_can_write_to():
    call = read_one(codec.frame([codec.encode_call(1, request(Tensors((X,))))]))
    with pytest.raises(ValueError):
        call.inputs["x"][0, 0] = 1


@settings(deadline=None, max_examples=100)
@given(payloads(), parameters, st.booleans())
def test_a_part_reaches_the_gateway_as_it_was(payload, given_parameters, final):
    wire = codec.encode_part(
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
    ((call_id, part, executed),) = codec.decode_parts(codec.reply_frame([wire]))
    assert call_id == 2**40
    assert part == Part(payload, "3", given_parameters, final, 5, 2**33, 16)
    assert executed


def test_parts_of_many_calls_share_a_frame():
    parts = [codec.encode_part(i, (X,), "3") for i in range(200)]
    found = codec.decode_parts(codec.reply_frame(parts))
    assert [call_id for call_id, _, _ in found] == list(range(200))


def test_a_large_view_of_an_array_is_framed_without_loss():
    array = np.arange(100_000, dtype=np.float32)
    wire = codec.encode_part(1, [to_tensor("y", array)], "3")
    ((_, part, _),) = codec.decode_parts(codec.reply_frame([wire]))
    assert bytes(part.payload.tensors[0].data) == array.tobytes()


@pytest.mark.parametrize("executed", [True, False])
def test_a_failure_keeps_its_kind_sentence_and_time(executed):
    error = PenstockError(Kind.OVERLOADED, "full \ud800", retry_after=0.25)
    wire = codec.encode_failure(7, error, executed=executed)
    ((call_id, found, was_executed),) = codec.decode_parts(codec.reply_frame([wire]))
    assert (call_id, was_executed) == (7, executed)
    assert (found.kind, found.message, found.retry_after) == (Kind.OVERLOADED, "full ?", 0.25)


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


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_by_both_ends(data):
    for decode, kind in (
        (codec.decode_parts, Kind.BAD_REPLY),
        (codec.decode_requests, Kind.INVALID),
    ):
        assert kind_of_refusal(decode, data) in (None, kind)


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_damaged_frame_never_ends_in_another_error(data):
    frame = bytearray(codec.frame([codec.encode_call(1, request(Tensors((X,)), {"a": 1}))]))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] = data.draw(st.integers(0, 255))
    assert kind_of_refusal(codec.decode_requests, bytes(frame)) in (None, Kind.INVALID)


def test_errors_about_input_keep_their_sentence():
    wire = codec.encode_failure(1, invalid("inputs: no"), executed=False)
    ((_, error, _),) = codec.decode_parts(codec.reply_frame([wire]))
    assert (error.kind, error.message, error.retry_after) == (Kind.INVALID, "inputs: no", None)
