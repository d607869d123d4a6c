"""Hand-framed pieces are what protobuf itself would read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos import exchange_pb2 as pb
from protos.exchange_wire import add_tensors, parameter, read_parameters, varint
from tests.protos.any_tensors import parameters, tensors


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**64 - 1))
def test_varints_are_those_of_protobuf(number):
    assert pb.Credit.FromString(b"\x08" + varint(number)) == pb.Credit(id=number)


def test_a_negative_number_has_no_varint():
    with pytest.raises(ValueError):
        varint(-1)


@settings(deadline=None, max_examples=100)
@given(tensors())
def test_a_framed_tensor_is_a_tensor_message(tensor):
    pieces = []
    add_tensors(pieces, b"\x2a", [tensor])
    (found,) = pb.Call.FromString(b"".join(pieces)).inputs
    assert (found.name, found.datatype, tuple(found.shape), found.data) == (
        tensor.name,
        tensor.datatype,
        tensor.shape,
        tensor.data,
    )


@settings(deadline=None, max_examples=100)
@given(parameters)
def test_parameters_keep_their_types_and_all_64_bits(given_parameters):
    message = pb.Call(parameters={k: parameter(v) for k, v in given_parameters.items()})
    found = read_parameters(message)
    assert found == given_parameters
    assert all(type(found[name]) is type(value) for name, value in given_parameters.items())
