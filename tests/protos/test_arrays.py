"""Canonical bytes and arrays: exact both ways, and nothing that disagrees with itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.arrays import count, count_bytes, join_bytes, mismatch, split_bytes, to_array, to_tensor
from protos.datatypes import DATATYPES
from protos.errors import Kind, PenstockError
from protos.values import Tensor
from tests.protos.any_tensors import tensors


@settings(deadline=None, max_examples=200)
@given(tensors())
def test_every_tensor_survives_the_way_to_an_array_and_back(tensor):
    array = to_array(tensor)
    assert array.shape == tensor.shape
    assert array.dtype == DATATYPES[tensor.datatype].dtype
    assert to_tensor(tensor.name, array, tensor.datatype) == tensor


@pytest.mark.parametrize("datatype", sorted(set(DATATYPES) - {"BYTES", "BF16"}))
def test_an_array_tells_its_datatype_by_its_dtype(datatype):
    array = np.zeros((2, 3), DATATYPES[datatype].dtype)
    assert to_tensor("y", array).datatype == datatype


def test_bf16_is_told_from_uint16_by_what_the_signature_says():
    bits = np.array([0x3F80], np.uint16)
    assert to_tensor("y", bits, "BF16") == Tensor("y", "BF16", (1,), b"\x80\x3f")


def test_a_large_or_strided_array_has_the_bytes_of_its_row_major_order():
    array = np.arange(20_000, dtype=np.float32).reshape(100, 200).T
    assert bytes(to_tensor("y", array).data) == array.tobytes()


def test_trailing_nuls_of_elements_are_kept():
    tensor = Tensor("x", "BYTES", (2,), join_bytes([b"a\0", b"\0\0"]))
    assert list(to_array(tensor)) == [b"a\0", b"\0\0"]


def test_strings_that_a_model_gives_become_utf8():
    array = np.array(["é", b"\xff"], object)
    assert split_bytes(to_tensor("y", array).data) == ["é".encode(), b"\xff"]


@pytest.mark.parametrize(
    ("array", "datatype"),
    [
        (np.zeros(1, np.float64), "FP32"),
        (np.zeros(1, np.complex64), ""),
        (np.array([1], object), "BYTES"),
        (np.array(["\ud800"], object), "BYTES"),
        (np.zeros(1, ">f4"), "FP32"),
    ],
)
def test_what_a_model_may_not_give_is_a_bad_reply_that_names_the_output(array, datatype):
    with pytest.raises(PenstockError, match='tensor "y"') as caught:
        to_tensor("y", array, datatype)
    assert caught.value.kind is Kind.BAD_REPLY


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (Tensor("x", "FP33", (1,), b""), 'there is no datatype "FP33"; did you mean "FP32"'),
        (Tensor("x", "FP32", (2, 2), bytes(15)), "takes 16 bytes, the data has 15"),
        (Tensor("x", "FP32", (-1,), bytes(4)), "negative dimension, -1"),
        (Tensor("x", "FP32", (1 << 62, 4), b""), "more than 2147483648 elements"),
        (Tensor("x", "FP32", (0, 1 << 31, 1 << 31), b""), "more than 2147483648 elements"),
        (Tensor("x", "FP32", (1,) * 65, bytes(4)), "65 dimensions"),
        (Tensor("x", "BOOL", (2,), b"\1\2"), "one byte for each element, 0 or 1"),
        (Tensor("x", "BYTES", (2,), join_bytes([b"a"])), "has 2 elements, the data has 1"),
        (Tensor("x", "BYTES", (1,), b"\1\0\0"), "the length before element 0 is cut off"),
        (Tensor("x", "BYTES", (1,), b"\2\0\0\0a"), "element 0 reaches beyond the data"),
    ],
)
def test_data_that_disagrees_is_refused_with_the_reason(tensor, why):
    assert why in (mismatch(tensor) or "")
    with pytest.raises(PenstockError, match='tensor "x"') as caught:
        to_array(tensor)
    assert caught.value.kind is Kind.INVALID


def test_a_scalar_has_one_element_and_an_empty_dimension_none():
    assert count(()) == 1
    assert count((3, 0, 5)) == 0


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=40))
def test_any_bytes_are_elements_exactly_or_not_at_all(data):
    try:
        found = count_bytes(data)
    except ValueError:
        return
    elements = split_bytes(data)
    assert len(elements) == found
    assert join_bytes(elements) == data
