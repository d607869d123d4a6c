"""Every kind has its comparison, and none of them raises for any payload or tells what is in it."""

import math
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.datatypes import DATATYPES
from protos.route.mirror import Compare, Kind
from protos.values import Part, Tensor, Tensors
from routing.compare.comparator import KINDS, comparator
from tests.routing.compare.compared_answers import compared, tensors_of, unary

# Names that meet, datatypes there aren't, shapes that don't fit, data that is cut.
MESSY = st.builds(
    Tensor,
    st.sampled_from(["a", "b", ""]),
    st.sampled_from([*DATATYPES, "FP8"]),
    st.lists(st.integers(-1, 3), max_size=3).map(tuple) | st.just((1 << 20, 1 << 20)),
    st.binary(max_size=24) | st.binary(max_size=8).map(lambda b: len(b).to_bytes(4, "little") + b),
)
ANY_TENSOR = MESSY | tensors_of("a") | tensors_of("b")
ANSWERS = st.lists(
    st.lists(ANY_TENSOR, max_size=3).map(lambda t: Part(Tensors(tuple(t)), "1", {}, False)),
    max_size=3,
)


def test_every_kind_of_the_route_document_has_a_comparison():
    assert set(KINDS) == set(get_args(Kind))


def test_a_comparison_is_made_once_for_each_setting():
    assert comparator(Compare(atol=0.5)) is comparator(Compare(atol=0.5))


@pytest.mark.parametrize("kind", get_args(Kind))
@given(primary=ANSWERS, candidate=ANSWERS, atol=st.sampled_from([0.0, 1.0, math.inf]))
@settings(deadline=None, max_examples=35)
def test_no_payload_makes_it_raise_and_all_figures_are_finite(kind, primary, candidate, atol):
    for pair in ((primary, candidate), (primary, primary)):
        outcome = compared(*pair, kind=kind, atol=atol, top_k=2, max_edit="10%")
        assert math.isfinite(outcome.distance)
        assert all(map(math.isfinite, outcome.measures.values()))
        assert all(type(value) is float for value in outcome.measures.values())
        assert outcome.agrees is True or outcome.reason
        assert outcome.reason.isprintable()


@pytest.mark.parametrize("kind", get_args(Kind))
@given(answer=ANSWERS)
@settings(deadline=None, max_examples=20)
def test_no_answer_ever_differs_from_itself(kind, answer):
    assert compared(answer, answer, kind=kind).agrees is not False


@pytest.mark.parametrize("kind", get_args(Kind))
def test_reasons_and_measures_dont_quote_what_was_said(kind):
    secret = "Ada Lovelace, 4929 1234"
    pairs = [
        (secret, secret + "!"),
        (f'{{"name": "{secret}"}}', f'{{"name": "{secret}!"}}'),
        (secret, b"\xff"),
        ("{}", secret),
    ]
    for primary, candidate in pairs:
        outcome = compared(unary(y=primary), unary(y=candidate), kind=kind)
        assert "Ada" not in outcome.reason
        assert "4929" not in repr(outcome.measures)
