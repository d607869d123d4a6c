"""Tensors agree within a tolerance of the primary's elements, and exactly where there is none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from protos.values import Tensor
from routing.compare.settled import FARTHEST
from tests.routing.compare.compared_answers import compared, stream, tensors_of, unary

DOUBLES = hnp.arrays(
    "<f8",
    st.integers(1, 40),
    elements=st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0]),
)
LARGE = np.random.default_rng(7).normal(size=200_000).astype("<f4")


def of_floats(primary, candidate, **how):
    return compared(unary(y=primary), unary(y=candidate), kind="tensor", **{"rtol": 0.0, **how})


def f32(*values):
    return np.array([values], "<f4")


@given(tensors_of("y"))
@settings(deadline=None, max_examples=60)
def test_any_tensor_agrees_with_itself(any_tensor):
    outcome = compared(unary(y=any_tensor), unary(y=any_tensor), kind="tensor")
    assert outcome.agrees
    assert outcome.distance == 0
    assert outcome.measures["mismatched"] == 0


@given(tensors_of("y", ("FP16", "FP32", "BF16")))
@settings(deadline=None, max_examples=40)
def test_a_float_agrees_with_itself_in_another_width(narrow):
    if narrow.datatype == "BF16":
        bits = np.frombuffer(narrow.data, "<u2").astype("<u4") << 16
        wide = bits.view("<f4").astype("<f8").reshape(narrow.shape)
    else:
        code = {"FP16": "<f2", "FP32": "<f4"}[narrow.datatype]
        wide = np.frombuffer(narrow.data, code).astype("<f8").reshape(narrow.shape)
    outcome = compared(unary(y=narrow), unary(y=wide), kind="tensor", atol=0.0)
    assert outcome.agrees
    assert outcome.distance == 0


@given(DOUBLES, DOUBLES, st.sampled_from([0.0, 1e-6, 10.0]), st.sampled_from([0.0, 1e-3, 0.5]))
@settings(deadline=None, max_examples=70)
def test_what_agrees_is_what_numpy_calls_close(primary, candidate, atol, rtol):
    n = min(len(primary), len(candidate))
    primary, candidate = primary[:n], candidate[:n]
    close = np.isclose(candidate, primary, atol=atol, rtol=rtol, equal_nan=True)
    outcome = of_floats(primary, candidate, atol=atol, rtol=rtol)
    assert outcome.agrees == close.all()
    assert outcome.measures["mismatched"] == pytest.approx(1 - close.mean())


@given(DOUBLES, DOUBLES)
@settings(deadline=None, max_examples=40)
def test_without_a_relative_tolerance_primary_and_candidate_may_change_places(one, other):
    n = min(len(one), len(other))
    there, back = of_floats(one[:n], other[:n]), of_floats(other[:n], one[:n])
    assert there.agrees == back.agrees
    assert there.distance == back.distance
    assert there.measures["mismatched"] == back.measures["mismatched"]
    assert there.measures["cosine"] == pytest.approx(back.measures["cosine"])


@given(DOUBLES, DOUBLES, st.sampled_from([0.0, 1e-6, 1.0]), st.sampled_from([0.0, 0.1]))
@settings(deadline=None, max_examples=40)
def test_the_distance_is_at_most_one_exactly_where_answers_agree(one, other, atol, rtol):
    n = min(len(one), len(other))
    outcome = of_floats(one[:n], other[:n], atol=atol, rtol=rtol)
    assert outcome.agrees == (outcome.distance <= 1)


@given(
    st.integers(0, 199_999),
    st.sampled_from([1e-3, 0.5, -7.0, np.nan, np.inf]),
)
@settings(deadline=None, max_examples=15)
def test_one_planted_element_is_found_wherever_it_is(where, planted):
    candidate = LARGE.copy()
    candidate[where] += np.float32(planted)
    outcome = of_floats(LARGE, candidate, atol=1e-4)
    assert not outcome.agrees
    assert outcome.measures["mismatched"] == pytest.approx(1 / 200_000)
    assert outcome.measures["elements"] == 200_000
    assert outcome.reason == '1 of 200000 elements differ, first in output "y"'


def test_errors_are_measured_absolutely_relatively_and_by_the_angle():
    outcome = of_floats(f32(1, 2, 4), f32(1, 2.5, 4.5), atol=1.0)
    assert outcome.agrees
    assert outcome.distance == pytest.approx(0.5)
    assert outcome.measures["max_abs_error"] == pytest.approx(0.5)
    assert outcome.measures["max_rel_error"] == pytest.approx(0.25)
    one, other = np.array([1, 2, 4.0]), np.array([1, 2.5, 4.5])
    expected = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert outcome.measures["cosine"] == pytest.approx(expected)


def test_a_zero_of_the_primary_has_no_relative_error():
    assert of_floats(f32(0, 1), f32(0.5, 1)).measures["max_rel_error"] == 0


@pytest.mark.parametrize(
    ("primary", "candidate"),
    [(np.nan, 1.0), (1.0, np.nan), (np.inf, -np.inf), (np.inf, 1e30), (np.nan, np.inf)],
)
def test_what_is_not_finite_agrees_with_nothing_but_itself(primary, candidate):
    outcome = of_floats(f32(1, primary), f32(1, candidate), atol=1e9)
    assert outcome.agrees is False
    assert outcome.distance == FARTHEST
    assert outcome.measures["not_finite"] == 1
    assert outcome.measures["max_abs_error"] == 0
    assert of_floats(f32(1, primary), np.array([[1, primary]], "<f8")).agrees


def test_measures_stay_finite_at_the_ends_of_the_range():
    outcome = of_floats(np.array([1.7e308, 5e-324]), np.array([-1.7e308, 1e300]))
    assert not outcome.agrees
    assert np.isfinite([outcome.distance, *outcome.measures.values()]).all()
    assert "cosine" not in outcome.measures


@pytest.mark.parametrize("code", ["<i1", "<i8", "<u4", "?"])
def test_whole_numbers_are_exact_whatever_the_tolerance(code):
    primary = np.array([[1, 0, 1]], code)
    candidate = np.array([[1, 1, 1]], code)
    outcome = of_floats(primary, candidate, atol=100.0)
    assert outcome.agrees is False
    assert outcome.distance == 2
    assert "max_abs_error" not in outcome.measures


def test_whole_numbers_of_other_widths_agree_by_value_even_where_a_double_is_too_short():
    assert of_floats(np.array([3, 2**40], "<i8"), np.array([3, 2**40], "<u8")).agrees
    assert not of_floats(np.array([2**62 + 1], "<i8"), np.array([2**62], "<u8")).agrees
    assert not of_floats(np.array([-1], "<i8"), np.array([2**64 - 1], "<u8")).agrees


def test_bytes_are_exact():
    assert of_floats([b"a\xff", b""], [b"a\xff", b""]).agrees
    outcome = of_floats([b"a", b"b"], [b"a", b"c"])
    assert outcome.agrees is False
    assert outcome.measures["mismatched"] == 0.5


def test_elements_without_a_tolerance_are_counted():
    outcome = of_floats(f32(1, 2, 3), f32(1, 2.5, 3.5), atol=0.0)
    assert outcome.agrees is False
    assert outcome.distance == 3


def test_a_float_against_a_whole_number_differs():
    outcome = of_floats(f32(1), np.array([[1]], "<i4"))
    assert outcome.agrees is False
    assert outcome.reason == 'output "y": FP32 against INT32'


def test_another_shape_differs_even_with_the_same_data():
    outcome = of_floats(np.zeros((2, 3), "<f4"), np.zeros((3, 2), "<f4"))
    assert (outcome.agrees, outcome.distance) == (False, FARTHEST)
    assert outcome.reason == 'output "y": shape [2,3] against [3,2]'


def test_data_that_is_not_what_its_shape_says_is_incomparable_on_either_side():
    good = unary(y=f32(1, 2))
    broken = unary(y=Tensor("y", "FP32", (1, 2), b"\0" * 7))
    for pair in ((good, broken), (broken, good), (broken, broken)):
        outcome = compared(*pair, kind="tensor")
        assert outcome.agrees is None
        assert '"y": shape [1, 2] of FP32 takes 8 bytes, the data has 7' in outcome.reason


def test_parts_are_compared_one_by_one_and_another_number_of_them_differs():
    primary = stream("y", f32(1), f32(2), f32(3))
    assert compared(primary, stream("y", f32(1), f32(2), f32(3)), kind="tensor").agrees
    assert compared(primary, stream("y", f32(1), f32(3), f32(2)), kind="tensor").agrees is False
    outcome = compared(primary, stream("y", f32(1), f32(2)), kind="tensor")
    assert outcome.agrees is False
    assert outcome.reason == "an answer of 3 parts against 2 parts"
