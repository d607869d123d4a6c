"""Scores are compared as tensors, and leave one figure an answer for reports on drift."""

import numpy as np
import pytest
from hypothesis import given, settings

from tests.routing.compare.compared_answers import compared, stream, tensors_of, unary


def scores(primary, candidate, **how):
    return compared(unary(y=primary), unary(y=candidate), kind="scores", **{"rtol": 0.0, **how})


def figures(outcome):
    return outcome.measures["score_primary"], outcome.measures["score_candidate"]


@given(tensors_of("y", ("FP16", "FP32", "FP64", "BF16")))
@settings(deadline=None, max_examples=60)
def test_any_scores_agree_with_themselves_and_every_figure_is_finite(any_scores):
    outcome = compared(unary(y=any_scores), unary(y=any_scores), kind="scores")
    assert outcome.agrees
    assert outcome.distance == 0
    assert np.isfinite(list(outcome.measures.values())).all()


def test_agreement_is_every_element_within_the_tolerance():
    primary = np.array([[0.2, 0.8]])
    assert scores(primary, primary + 0.05, atol=0.1).agrees
    outcome = scores(primary, primary + 0.2, atol=0.1)
    assert outcome.agrees is False
    assert outcome.distance == pytest.approx(2)


@pytest.mark.parametrize(
    ("answer", "figure"),
    [
        ([0.2, 0.4, 0.6], 0.4),  # one axis: a score a row
        ([[0.2], [0.4]], 0.3),  # one score a row
        ([[0.9, 0.1], [0.7, 0.3]], 0.2),  # two: the positive class
        ([[0.7, 0.2, 0.1], [0.1, 0.4, 0.5]], 0.6),  # more: the largest
        (0.5, 0.5),
    ],
)
def test_the_figure_is_the_mean_of_the_rows_scores(answer, figure):
    found = figures(scores(np.array(answer), np.array(answer) + 0.1, atol=1.0))
    assert found == pytest.approx((figure, figure + 0.1))


def test_rows_without_a_finite_score_have_no_part_in_the_figure():
    nan = np.nan
    outcome = scores(np.array([[0.2], [nan]]), np.array([[0.2], [0.4]]))
    assert outcome.agrees is False
    assert figures(outcome) == pytest.approx((0.2, 0.3))
    outcome = scores(np.array([[0.2]]), np.array([[nan]]))
    assert outcome.agrees is False
    assert "score_primary" not in outcome.measures


def test_the_figure_is_of_the_first_output_of_floats_in_all_parts():
    primary = unary(id=np.array([7]), score=np.array([0.1]), other=np.array([9.0]))
    assert figures(compared(primary, primary, kind="scores")) == pytest.approx((0.1, 0.1))
    parts = stream("y", np.array([0.1]), np.array([0.3]))
    assert figures(compared(parts, parts, kind="scores")) == pytest.approx((0.2, 0.2))


def test_without_floats_there_are_no_scores():
    outcome = scores(np.array([1, 2]), np.array([1, 2]))
    assert outcome.agrees is None
    assert outcome.reason == 'output "y" is INT64[2]; this comparison takes outputs of floats'


def test_a_candidate_whose_score_is_of_another_datatype_differs():
    assert scores(np.array([0.5]), np.array([1])).reason == 'output "y": FP64 against INT64'
