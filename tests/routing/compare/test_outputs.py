"""Outputs meet by part and name, in whatever order they come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.values import Part, Tensor, Tensors
from tests.routing.compare.compared_answers import compared, part, tensor, unary

ONE = np.array([1.5])


@given(st.permutations(["a", "b", "c", "d"]), st.permutations(["a", "b", "c", "d"]))
@settings(deadline=None, max_examples=30)
def test_the_order_of_outputs_is_no_difference(one, other):
    values = {"a": ONE, "b": np.array([3]), "c": ["text"], "d": np.array([[0.2, 0.8]])}
    primary = unary(**{name: values[name] for name in one})
    candidate = unary(**{name: values[name] for name in other})
    for kind in ("auto", "tensor"):
        assert compared(primary, candidate, kind=kind).agrees


def test_an_output_that_the_candidate_lacks_differs_and_one_more_does_not():
    outcome = compared(unary(a=ONE, b=ONE), unary(a=ONE), kind="tensor")
    assert (outcome.agrees, outcome.reason) == (False, 'the candidate has no output "b"')
    assert compared(unary(a=ONE), unary(a=ONE, b=ONE), kind="tensor").agrees


def test_a_named_output_is_all_that_is_compared():
    primary, candidate = unary(a=ONE, b=ONE), unary(a=ONE, b=ONE + 1)
    assert compared(primary, candidate, kind="tensor", output="a").agrees
    assert compared(primary, candidate, kind="tensor", output="b").agrees is False
    outcome = compared(primary, candidate, kind="tensor", output="c")
    assert (outcome.agrees, outcome.reason) == (None, 'the primary\'s answer has no output "c"')
    outcome = compared(primary, unary(a=ONE), kind="tensor", output="b")
    assert outcome.agrees is False


def test_an_answer_without_outputs_is_incomparable_in_the_primary_only():
    assert compared([], [], kind="tensor").reason == "the primary's answer has no outputs"
    assert compared(unary(), unary(a=ONE)).agrees is None
    for nothing in ([], unary()):
        assert compared(unary(a=ONE), nothing, kind="tensor").agrees is False


def test_an_empty_last_part_is_no_part():
    ended = [part(final=False, a=ONE), part()]
    assert compared(ended, unary(a=ONE), kind="tensor").agrees
    assert compared(unary(a=ONE), ended, kind="tensor").agrees


def test_two_outputs_of_a_name_are_incomparable():
    twice = [Part(Tensors((tensor("a", ONE), tensor("a", ONE))), "1", {}, True)]
    for pair in ((twice, unary(a=ONE)), (unary(a=ONE), twice)):
        outcome = compared(*pair, kind="tensor")
        assert outcome.agrees is None
        assert outcome.reason == "an answer has two outputs of the same name"


@pytest.mark.parametrize("kind", ["auto", "tensor", "label", "scores", "json", "text", "tokens"])
def test_an_unknown_datatype_is_incomparable(kind):
    strange = unary(a=Tensor("a", "FP8", (1,), b"\0"))
    outcome = compared(strange, strange, kind=kind)
    assert outcome.agrees is None
    assert outcome.reason == 'output "a": its datatype isn\'t known'


def test_none_of_several_outputs_fitting_is_said_shortly():
    outcome = compared(unary(a=ONE, b=ONE), unary(a=ONE, b=ONE), kind="json")
    assert outcome.reason == "none of the 2 outputs fits; this comparison takes BYTES"


def test_names_and_shapes_in_reasons_are_kept_short():
    long, deep = "n" * 1000 + "\n", np.zeros((1,) * 12)
    outcome = compared(unary(**{long: deep}), unary(**{long: deep[0]}), kind="tensor")
    assert outcome.agrees is False
    assert len(outcome.reason) < 200
    assert outcome.reason.isprintable()
