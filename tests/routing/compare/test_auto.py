"""Without a kind, each output is compared as what it seems to be in the primary's answer."""

import json

import numpy as np
import pytest
from hypothesis import given, settings

from routing.compare import json_fields
from tests.routing.compare.compared_answers import compared, stream, tensors_of, unary


def measures(value, **how):
    return set(compared(unary(y=value), unary(y=value), **how).measures)


@given(tensors_of("y"), tensors_of("z"))
@settings(deadline=None, max_examples=60)
def test_any_answer_agrees_with_itself(y, z):
    outcome = compared(unary(y=y, z=z), unary(z=z, y=y))
    assert outcome.agrees
    assert outcome.distance == 0


@pytest.mark.parametrize(
    ("value", "measure"),
    [
        (np.array([[0.2, 0.8], [0.5, 0.5]]), "flips"),  # probabilities
        (np.array([0.1, 0.2, 0.7], "<f2"), "flips"),
        (np.array([[0.2, 0.9]]), "elements"),  # not to 1
        (np.array([[-0.5, 1.5]]), "elements"),  # below 0
        (np.array([[np.nan, 1.0]]), "elements"),
        (np.array([[1.0]]), "elements"),  # one score
        (np.full((1, 3, 2), 0.5), "elements"),  # attention, say
        (np.array([[3, 1]]), "elements"),
        ('{"a": 1}', "fields"),
        (["[]", " {} "], "fields"),
        ("42", "edits"),
        ("plain", "edits"),
        ("[laughs] yes", "edits"),
        (["{}", "plain"], "edits"),
        (b"\xff\xfe", "elements"),
    ],
)
def test_the_primarys_output_decides(value, measure):
    assert measure in measures(value)


def test_json_is_read_once_an_answer(monkeypatch):
    read = []

    def parsed(element):
        read.append(element)
        return json.loads(element)

    monkeypatch.setattr(json_fields, "parsed", parsed)
    outcome = compared(unary(y=["[1]", "[2]"], z="{}"), unary(y=["[10]", "[2]"], z="{ }"))
    assert sorted(read) == [b"[10]", b"[1]", b"[2]", b"[2]", b"{ }", b"{}"]
    assert outcome.reason == 'output "y", element 0, at "/0": the numbers differ'


def test_the_candidates_output_does_not_decide():
    outcome = compared(unary(y='{"a": 1}'), unary(y="sorry"))
    assert (outcome.agrees, outcome.reason) == (False, "output \"y\": the candidate's isn't JSON")
    outcome = compared(unary(y=np.array([[0.1, 0.9]])), unary(y=np.array([[1.0, 7.0]])))
    assert outcome.agrees
    assert outcome.label == "1"


def test_two_outputs_of_floats_are_both_tensors():
    sure = np.array([[0.1, 0.9]])
    outcome = compared(unary(p=sure, q=sure), unary(p=sure, q=sure[:, ::-1]))
    assert outcome.agrees is False
    assert "flips" not in outcome.measures


def test_several_outputs_are_each_compared_their_way():
    answer = unary(p=np.array([[0.1, 0.9]]), n=np.array([3]), why='{"rule": 7}', note="fine")
    outcome = compared(answer, answer)
    assert outcome.agrees
    assert {"flips", "elements", "fields", "edits"} <= set(outcome.measures)
    assert outcome.label == "1"
    other = unary(p=np.array([[0.1, 0.9]]), n=np.array([3]), why='{"rule": 8}', note="fine")
    assert compared(answer, other).reason == 'output "why", at "/rule": the numbers differ'


def test_a_missing_output_differs_whatever_the_others_say():
    answer = unary(p=np.array([[0.1, 0.9]]), note="fine")
    outcome = compared(answer, unary(p=np.array([[0.1, 0.9]])))
    assert (outcome.agrees, outcome.reason) == (False, 'the candidate has no output "note"')


def test_streams_of_text_are_compared_as_tokens_and_streams_of_numbers_as_tensors():
    assert "common_prefix" in compared(stream("y", "a", "b"), stream("y", "ab")).measures
    assert "common_prefix" in compared(unary(y="ab"), stream("y", "a", "b")).measures
    numbers = stream("y", np.array([1.5]), np.array([2.5]))
    assert compared(numbers, numbers).measures["elements"] == 2


def test_comparisons_that_meet_in_one_outcome_have_measures_of_different_names():
    answers = [np.array([1.5]), np.array([[0.5, 0.5]]), "{}", "a"]
    names = [name for answer in answers for name in measures(answer)]
    assert len(names) == len(set(names))
