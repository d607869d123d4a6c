"""Calls on the exchange: what a gateway writes its backend reads, and nothing else passes."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.arrays import to_tensor
from protos.errors import Kind, PenstockError
from protos.exchange_calls import decode_requests, encode_call, frame, stamp
from protos.values import Tensor, Tensors
from tests.protos.any_tensors import parameters, payloads, request

X = Tensor("x", "FP32", (1, 2), bytes(8))


def read_one(frame):
    (call,) = decode_requests(frame).calls
    return call


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
    wire = stamp(encode_call(call_id, asked), remaining)
    call = read_one(frame([wire]))
    back = [to_tensor(name, array, call.datatypes[name]) for name, array in call.inputs.items()]
    assert tuple(back) == payload.tensors
    assert call.parameters == given_parameters
    assert (call.id, call.remaining_us) == (call_id, remaining)
    assert (call.model, call.version, call.request_id) == ("fraud", "3", "r-1")
    assert (call.tenant, call.traceparent, call.priority) == ("acme", "00-ab", 2)
    assert (call.shadow, call.suspect, call.streaming) == (False, False, True)


def test_a_call_without_a_deadline_has_no_remaining_time():
    wire = encode_call(1, request(Tensors((X,), ("y", "z"))))
    assert stamp(wire, 0) == wire
    call = read_one(frame([wire]))
    assert call.remaining_us == 0
    assert call.wanted == ("y", "z")


def test_names_of_outputs_are_not_remembered():
    """Clients choose them, so that memory would be theirs to fill."""
    tracemalloc.start()
    try:
        for number in range(20):
            wanted = tuple(f"{number}-{at}-{'x' * 200}" for at in range(200))
            call = read_one(frame([encode_call(1, request(Tensors((X,), wanted)))]))
            assert call.wanted == wanted
            del wanted, call
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 400_000  # of the million bytes that they have


def test_a_frame_carries_calls_cancellations_and_credit():
    calls = [encode_call(i, request(Tensors((X,)))) for i in (1, 2**40)]
    found = decode_requests(frame(calls, [3, 2**50], [(4, 5), (6, 2**33)]))
    assert [call.id for call in found.calls] == [1, 2**40]
    assert found.cancels == [3, 2**50]
    assert found.credits == [(4, 5), (6, 2**33)]


def test_a_call_that_cannot_be_read_is_refused_alone():
    good = encode_call(1, request(Tensors((X,))))
    bad = encode_call(2, request(Tensors((Tensor("x", "FP32", (3,), bytes(8)),))))
    first, (call_id, error) = decode_requests(frame([good, bad])).calls
    assert first.id == 1
    assert call_id == 2
    assert error.kind is Kind.INVALID
    assert 'tensor "x"' in error.message


def test_the_same_input_twice_is_refused():
    call = read_one(frame([encode_call(1, request(Tensors((X, X))))]))
    assert isinstance(call, tuple)
    assert '"x" is there twice' in call[1].message


def test_inputs_are_views_that_nobody_can_write_to():
    call = read_one(frame([encode_call(1, request(Tensors((X,))))]))
    with pytest.raises(ValueError):
        call.inputs["x"][0, 0] = 1


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_damaged_frame_never_ends_in_another_error(data):
    damaged = bytearray(frame([encode_call(1, request(Tensors((X,)), {"a": 1}))]))
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] = data.draw(st.integers(0, 255))
    assert kind_of_refusal(decode_requests, bytes(damaged)) in (None, Kind.INVALID)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    assert kind_of_refusal(decode_requests, data) in (None, Kind.INVALID)
