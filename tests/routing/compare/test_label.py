"""A label is what an answer says: the class of the largest score, a whole number, a text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from routing.compare.settled import FARTHEST
from tests.routing.compare.compared_answers import compared, stream, tensors_of, unary

SCORES = hnp.arrays(
    "<f8",
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6),
    elements=st.floats(-5, 5) | st.sampled_from([np.nan, np.inf, -np.inf]),
)


def labels(primary, candidate, **how):
    return compared(unary(y=primary), unary(y=candidate), kind="label", **{"rtol": 0.0, **how})


def rows(*values):
    return np.array(values, "<f4")


@given(SCORES)
@settings(deadline=None, max_examples=50)
def test_scores_agree_with_themselves(scores):
    outcome = labels(scores, scores.copy())
    assert outcome.agrees
    assert outcome.distance == 0
    assert outcome.measures["top_k_overlap"] == 1


@given(tensors_of("y", ("INT32", "BYTES", "BOOL", "UINT8")))
@settings(deadline=None, max_examples=50)
def test_plain_labels_agree_with_themselves(plain):
    assert compared(unary(y=plain), unary(y=plain), kind="label").agrees


@given(st.integers(0, 2**32), st.integers(1, 50), st.integers(2, 20))
@settings(deadline=None, max_examples=50)
def test_planted_flips_are_all_counted(seed, n, classes):
    rng = np.random.default_rng(seed)
    primary = rng.random((n, classes))
    flipped = rng.random(n) < 0.3
    candidate = primary.copy()
    candidate[flipped] = np.roll(primary[flipped], 1, axis=1)
    outcome = labels(primary, candidate, atol=0.0)
    assert outcome.measures["flips"] == flipped.sum()
    assert outcome.measures["labels"] == n
    assert outcome.agrees == (not flipped.any())


def test_scores_may_change_as_long_as_the_largest_stays():
    outcome = labels(rows([0.1, 0.7, 0.2]), rows([0.3, 0.4, 0.3]))
    assert outcome.agrees
    assert outcome.label == "1"


def test_a_flip_is_as_far_as_the_candidate_is_sure_of_it():
    outcome = labels(rows([0.6, 0.4]), rows([0.2, 0.8]))
    assert outcome.agrees is False
    assert outcome.distance == pytest.approx(0.6)
    assert outcome.reason == '1 of 1 labels differ, first in output "y"'


def test_between_classes_that_are_tied_nothing_flips():
    assert labels(rows([0.5, 0.5000001]), rows([0.6, 0.4])).agrees  # tied in the primary
    assert labels(rows([0.6, 0.4]), rows([0.5, 0.5000001])).agrees  # tied in the candidate
    assert labels(rows([0.5, 0.51]), rows([0.6, 0.4])).agrees is False
    assert labels(rows([0.5, 0.51]), rows([0.6, 0.4]), rtol=0.05).agrees


def test_with_top_k_the_primarys_label_is_among_the_candidates_k_largest():
    primary, candidate = rows([0.6, 0.3, 0.1, 0.0]), rows([0.3, 0.6, 0.1, 0.0])
    assert labels(primary, candidate, top_k=1).agrees is False
    assert labels(primary, candidate, top_k=2).agrees
    outcome = labels(primary, rows([0.1, 0.5, 0.4, 0.0]), top_k=2)
    assert outcome.agrees is False
    assert outcome.measures["top_k_overlap"] == 0.5


def test_top_k_of_no_more_than_k_classes_says_nothing():
    outcome = labels(rows([0.6, 0.3]), rows([0.3, 0.6]), top_k=2)
    assert outcome.agrees is None
    assert outcome.reason == 'output "y": the largest 2 of 2 classes are all'


def test_nan_is_the_least_of_scores_and_a_row_of_it_has_no_label():
    nan = np.nan
    assert labels(rows([nan, 0.7, 0.2]), rows([0.3, 0.4, nan])).agrees
    assert labels(rows([0.1, 0.7]), rows([0.1, nan])).agrees is False
    assert labels(rows([nan, nan]), rows([nan, nan])).agrees
    for pair in ((rows([nan, nan]), rows([1, 0])), (rows([1, 0]), rows([nan, nan]))):
        outcome = labels(*pair)
        assert (outcome.agrees, outcome.distance) == (False, FARTHEST)


def test_infinities_are_scores():
    inf = np.inf
    assert labels(rows([0, inf]), rows([1, 2])).agrees
    assert labels(rows([0, 1]), rows([inf, 1])).agrees is False
    assert labels(rows([-inf, 0]), rows([-inf, -1])).agrees


def test_every_row_counts_and_the_label_is_the_first_rows():
    outcome = labels(rows([0, 1, 0], [1, 0, 0]), rows([0, 1, 0], [0, 0, 1]))
    assert outcome.agrees is False
    assert (outcome.measures["labels"], outcome.measures["flips"]) == (2, 1)
    assert outcome.label == "1"


def test_one_axis_is_one_row_of_scores():
    assert labels(np.array([0.1, 0.9]), np.array([0.2, 0.3])).label == "1"


def test_whole_numbers_and_texts_are_labels_themselves():
    assert labels(np.array([[7]], "<i8"), np.array([[7]], "<i4")).label == "7"
    assert labels(np.array([True]), np.array([True])).label == "true"
    assert labels(["fraud"], ["fraud"]).label == "fraud"
    assert labels(["fraud", "ok"], ["ok", "ok"]).agrees is False
    assert labels(np.array([1], "<i8"), np.array([1.0])).reason == 'output "y": INT64 against FP64'


@pytest.mark.parametrize("text", ["x" * 65, "two\nlines", b"\xff", ""])
def test_what_is_no_class_name_is_not_kept_as_label(text):
    outcome = labels([text], [text])
    assert outcome.agrees
    assert outcome.label == ""


def test_a_single_score_a_row_is_no_label_and_isnt_looked_at_beside_one():
    assert labels(np.array([[0.3]]), np.array([[0.3]])).reason == (
        'output "y" is FP64[1,1]; this comparison takes '
        "scores of several classes, whole numbers or BYTES"
    )
    primary = unary(score=np.array([[0.3]]), name=["ok"])
    assert compared(primary, unary(name=["ok"]), kind="label").agrees


def test_large_answers_are_looked_at_in_pieces_that_hide_nothing():
    primary = np.random.default_rng(3).random((3, 50_000))
    candidate = primary.copy()
    candidate[2, 17] = 2.0
    outcome = labels(primary, candidate)
    assert outcome.measures["flips"] == 1


def test_a_stream_of_labels_is_compared_part_by_part():
    outcome = compared(stream("y", ["a"], ["b"]), stream("y", ["a"], ["c"]), kind="label")
    assert outcome.measures["flips"] == 1
