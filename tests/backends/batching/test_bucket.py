import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.batching.bucket import bucket_of, next_size
from backends.batching.job import BatchPolicy, PadRule
from protos.errors import Kind, PenstockError

TOKENS = PadRule("seq", {"ids": 1, "mask": 1}, {"ids": 0, "mask": 0}, (16, 32, 64))
TEXT = BatchPolicy(max_rows=8, pads=(TOKENS,))
PLAIN = BatchPolicy(max_rows=8)
ALONE = BatchPolicy(max_rows=0)


def tokens(rows, length, mask_length=None):
    return {
        "ids": np.zeros((rows, length), np.int64),
        "mask": np.zeros((rows, mask_length if mask_length is not None else length), np.int64),
    }


def refused(inputs, policy):
    with pytest.raises(PenstockError) as caught:
        bucket_of(inputs, policy)
    assert caught.value.kind is Kind.INVALID
    return caught.value.message


def test_rows_are_the_first_dimension_and_not_part_of_the_bucket():
    bucket, rows = bucket_of({"x": np.zeros((3, 4, 5), np.float32)}, PLAIN)
    assert rows == 3
    assert bucket == (("x", "f", (4, 5)),)


def test_without_batch_dimension_a_request_is_one_and_all_its_dimensions_count():
    bucket, rows = bucket_of({"x": np.zeros((3, 4), np.float32)}, ALONE)
    assert rows == 1
    assert bucket == (("x", "f", (3, 4)),)


def test_the_order_of_the_inputs_does_not_matter():
    both = tokens(2, 10)
    turned = dict(reversed(both.items()))
    assert bucket_of(both, PLAIN) == bucket_of(turned, PLAIN)


@pytest.mark.parametrize(("length", "padded"), [(1, 16), (16, 16), (17, 32), (64, 64), (65, 65)])
def test_lengths_go_to_the_next_allowed_size_and_stay_beyond_the_largest(length, padded):
    bucket, _ = bucket_of(tokens(1, length), TEXT)
    assert [dimensions for _, _, dimensions in bucket] == [(padded,), (padded,)]


def test_requests_with_and_without_an_optional_input_do_not_share_a_batch():
    both = tokens(1, 10)
    assert bucket_of(both, TEXT)[0] != bucket_of({"ids": both["ids"]}, TEXT)[0]


def test_inputs_that_disagree_on_the_rows_are_refused():
    message = refused({"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}, PLAIN)
    assert message == 'inputs "a" and "b": one has 2 rows, the other 3'


def test_inputs_that_disagree_on_a_shared_length_are_refused():
    message = refused(tokens(1, 10, 11), TEXT)
    assert message == 'inputs "ids" and "mask": seq is 10 in one and 11 in the other'


@pytest.mark.parametrize(
    ("inputs", "part"),
    [
        ({}, "at least one"),
        ({"x": np.zeros((0, 4))}, "no rows"),
        ({"x": np.float32(1).reshape(())}, "must be the rows"),
    ],
)
def test_a_request_without_rows_is_refused(inputs, part):
    assert part in refused(inputs, PLAIN)


def test_an_input_without_the_padded_dimension_is_refused():
    assert "has no dimension 1" in refused({"ids": np.zeros((2,), np.int64)}, TEXT)


@settings(deadline=None, max_examples=100)
@given(st.sets(st.integers(1, 500), min_size=1), st.integers(0, 600))
def test_the_next_size_holds_the_length_and_is_the_smallest_that_does(sizes, length):
    ordered = tuple(sorted(sizes))
    found = next_size(ordered, length)
    assert found >= length
    assert found == length or all(size < length or size >= found for size in ordered)
