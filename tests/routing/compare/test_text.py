"""Texts agree if they are equal, or within a share of the primary's length in edits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.compare.settled import FARTHEST
from tests.routing.compare.compared_answers import compared, stream, unary


def texts(primary, candidate, **how):
    return compared(unary(y=primary), unary(y=candidate), kind="text", **how)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_texts_agree_with_themselves(any_texts):
    outcome = texts(any_texts, list(any_texts))
    assert outcome.agrees
    assert outcome.distance == 0
    assert outcome.measures["edits"] == 0


@given(st.text("ab", max_size=12), st.text("ab", max_size=12), st.sampled_from(["0%", "50%"]))
@settings(deadline=None, max_examples=80)
def test_edits_similarity_and_distance_are_symmetric(one, other, max_edit):
    there, back = texts(one, other, max_edit=max_edit), texts(other, one, max_edit=max_edit)
    assert there.distance == back.distance
    for name in ("edits", "similarity"):
        assert there.measures[name] == back.measures[name]


def test_by_default_one_character_is_a_difference():
    outcome = texts("not approved", "now approved")
    assert outcome.agrees is False
    assert outcome.reason == '1 of 1 texts differ, first in output "y"'
    assert outcome.measures["edits"] == 1
    assert outcome.measures["similarity"] == pytest.approx(11 / 12)
    assert outcome.distance == pytest.approx(1 / 12)


def test_edits_are_allowed_up_to_a_share_of_the_primarys_length():
    primary = "x" * 100
    assert texts(primary, "y" * 29 + "x" * 71, max_edit="29%").agrees
    assert texts(primary, "y" * 30 + "x" * 70, max_edit="29%").agrees is False
    assert texts("", "y", max_edit="100%").agrees is False


def test_elements_are_compared_one_by_one_and_the_least_alike_counts():
    outcome = texts(["same", "abcd"], ["same", "abxx"], max_edit="25%")
    assert outcome.agrees is False
    assert outcome.measures["similarity"] == 0.5
    assert texts(["a", "b"], ["a"]).reason == 'output "y": 2 texts against 1'


def test_too_many_edits_to_count_are_decided_where_they_can_be():
    primary = "a" + "x" * 10_000 + "b"
    moved = "b" + "x" * 10_000 + "a"
    outcome = texts(primary, moved)
    assert outcome.agrees is False
    assert outcome.measures["similarity"] == 0
    assert "edits" not in outcome.measures
    assert texts(primary, moved, max_edit="100%").agrees
    outcome = texts(primary, moved, max_edit="10%")
    assert outcome.agrees is None
    assert outcome.reason == "the texts are too long for maxEdit"
    assert texts(primary, "b" + "x" * 20_000 + "a", max_edit="10%").agrees is False


def test_many_long_texts_of_one_answer_share_what_work_there_is():
    primary, moved = "a" + "x" * 5000 + "b", "b" + "x" * 5000 + "a"
    outcome = texts([primary] * 20, [moved] * 20)
    assert outcome.agrees is False
    assert "edits" not in outcome.measures
    assert texts([primary] * 2, [moved] * 2).measures["edits"] == 4


def test_several_parts_are_one_text_however_they_were_cut():
    assert compared(stream("y", "ab", "cd"), stream("y", "a", "bcd"), kind="text").agrees
    assert compared(stream("y", "ab", "cd"), unary(y="abcd"), kind="text").agrees
    split = "é".encode()
    assert compared(stream("y", split[:1], split[1:]), unary(y="é"), kind="text").agrees
    assert compared(stream("y", "ab", "cd"), stream("y", "ab"), kind="text").agrees is False


def test_binary_is_incomparable_in_the_primary_and_a_difference_in_the_candidate():
    outcome = texts(b"\xff", "text")
    assert (outcome.agrees, outcome.reason) == (None, 'output "y" isn\'t UTF-8')
    outcome = texts("text", b"\xff")
    assert (outcome.agrees, outcome.distance) == (False, FARTHEST)


def test_other_outputs_are_not_looked_at_and_a_missing_text_differs():
    primary = unary(y="text", score=np.array([0.5]))
    assert compared(primary, unary(y="text"), kind="text").agrees
    outcome = compared(primary, unary(score=np.array([0.5])), kind="text")
    assert (outcome.agrees, outcome.reason) == (False, 'the candidate has no output "y"')
    outcome = compared(primary, unary(y=np.array([1.0])), kind="text")
    assert outcome.reason == 'output "y": BYTES against FP64'
    assert compared(unary(y=np.array([1.0])), primary, kind="text").agrees is None
    mixed = stream("y", "text", np.array([1.0]))
    assert compared(mixed, mixed, kind="text").reason == 'output "y" is BYTES in some parts only'
