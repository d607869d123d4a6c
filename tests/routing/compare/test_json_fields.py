"""JSON documents are compared by what they mean, and a reason says where, never what."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.compare import json_fields
from routing.compare.json_fields import LARGEST, MOST_ARRAYS, MOST_FIELDS
from routing.compare.settled import FARTHEST
from tests.routing.compare.compared_answers import compared, stream, unary

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=20,
)


def documents(primary, candidate, **how):
    def written(document):
        return document if isinstance(document, str | bytes) else json.dumps(document)

    settings = {"atol": 0.0, "rtol": 0.0, **how}
    return compared(unary(y=written(primary)), unary(y=written(candidate)), kind="json", **settings)


@given(DOCUMENTS)
@settings(deadline=None, max_examples=50)
def test_any_document_agrees_with_itself_however_it_is_laid_out(document):
    outcome = documents(json.dumps(document), json.dumps(document, indent=1, ensure_ascii=False))
    assert outcome.agrees
    assert outcome.distance == 0
    assert outcome.measures["fields_differ"] == 0


@given(DOCUMENTS, DOCUMENTS)
@settings(deadline=None, max_examples=50)
def test_agreement_is_symmetric_without_a_relative_tolerance(one, other):
    one, other = json.dumps(one), json.dumps(other)
    there, back = documents(one, other), documents(other, one)
    assert there.agrees == back.agrees
    assert there.distance == back.distance


@given(st.dictionaries(st.text(max_size=6), SCALARS, min_size=1, max_size=8), st.data())
@settings(deadline=None, max_examples=40)
def test_one_planted_field_is_found_and_may_be_ignored(document, data):
    name = data.draw(st.sampled_from(sorted(document)))
    changed = {**document, name: ["planted"]}
    outcome = documents(document, changed)
    assert outcome.agrees is False
    assert outcome.measures["fields"] == len(document)
    assert outcome.measures["fields_differ"] == 1
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    assert documents(document, changed, ignore=(pointer,)).agrees


def test_the_order_of_members_is_no_difference_and_that_of_elements_is():
    assert documents('{"a":1,"b":2}', '{"b":2,"a":1}').agrees
    assert documents([1, 2], [2, 1]).measures["fields_differ"] == 2


@pytest.mark.parametrize(
    ("primary", "candidate", "reason"),
    [
        ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]}, 'at "/a/1/b": the strings differ'),
        ({"a": 1}, {"a": 2}, 'at "/a": the numbers differ'),
        ({"a": True}, {"a": False}, 'at "/a": the booleans differ'),
        ({"a": 1}, {"a": "1"}, 'at "/a": number against string'),
        ({"a": 1}, {"a": True}, 'at "/a": number against boolean'),
        ({"a": None}, {"a": []}, 'at "/a": null against array'),
        ({"a": {}}, {"a": []}, 'at "/a": object against array'),
        ({"a": 1, "b": 2}, {"a": 1}, 'at "/b": the candidate lacks it'),
        ({"a": 1}, {"a": 1, "b/c": 2}, 'at "/b~1c": only the candidate has it'),
        ({"a": [1]}, {"a": [1, 2]}, 'at "/a": 1 elements against 2'),
        (1, 2, ": the numbers differ"),
    ],
)
def test_the_reason_is_the_first_place_that_differs(primary, candidate, reason):
    outcome = documents(primary, candidate)
    assert outcome.agrees is False
    assert outcome.reason == f'output "y"{"" if reason[0] == ":" else ", "}{reason}'


def test_numbers_have_a_tolerance_and_one_kind():
    assert documents({"a": 1}, {"a": 1.0}).agrees
    assert documents([1.0], [1.05], atol=0.1).agrees
    assert documents([100], [109], rtol=0.1).agrees
    assert documents([100], [111], rtol=0.1).agrees is False
    assert documents("[NaN, Infinity]", "[NaN, Infinity]").agrees
    assert documents("[NaN, Infinity]", "[1, -Infinity]", atol=1e9).measures["fields_differ"] == 2


def test_numbers_too_long_for_a_double_are_exact():
    long = 10**400
    assert documents([long], [long], rtol=0.1).agrees
    assert documents([long], [long + 1]).agrees is False
    assert documents([long], [1.5], rtol=0.1).agrees is False
    assert documents([1.5], [long], atol=1.0).agrees is False


def test_ignored_are_places_and_what_is_below_them():
    one = {"id": 1, "items": [{"at": 1, "x": 1}, {"at": 2, "x": 2}], "meta": {"took": 3}}
    other = {"id": 2, "items": [{"at": 8, "x": 1}, {"x": 2}], "meta": {"took": 4, "new": 5}}
    assert documents(one, other, ignore=("/id", "/items/*/at", "/meta")).agrees
    outcome = documents(one, other, ignore=("/id", "/items/0/at", "/meta"))
    assert outcome.reason == 'output "y", at "/items/1/at": the candidate lacks it'


def test_the_length_of_an_array_of_which_all_is_ignored_is_no_difference():
    one, other = {"id": 1, "items": [1, 2]}, {"id": 1, "items": [3]}
    assert documents(one, other, ignore=("/items/*",)).agrees
    assert documents(one, {"id": 1, "items": []}, ignore=("/items/*",)).agrees
    assert documents([1, 2], [3], ignore=("/*",)).agrees
    assert not documents(one, {"id": 1, "items": "none"}, ignore=("/items/*",)).agrees
    assert not documents(one, {"id": 1}, ignore=("/items/*",)).agrees


def test_ignoring_a_part_of_each_element_leaves_the_length_a_difference():
    one, other = {"items": [{"at": 1}, {"at": 2}]}, {"items": [{"at": 3}]}
    outcome = documents(one, other, ignore=("/items/*/at", "/other/*"))
    assert outcome.reason == 'output "y", at "/items": 2 elements against 1'
    assert outcome.measures["fields_differ"] == 1


@pytest.mark.parametrize(
    "bad", [b"\xff", "{", '{"a":1} x', "", '{"a":1,"a":2}', "\ufeff{}", "[" * 30_000, "9" * 5000]
)
def test_what_isnt_json_is_incomparable_in_the_primary_and_a_difference_in_the_candidate(bad):
    outcome = documents(bad, {})
    assert (outcome.agrees, outcome.reason) == (None, 'output "y" isn\'t JSON')
    outcome = documents({}, bad)
    assert (outcome.agrees, outcome.distance) == (False, FARTHEST)
    assert outcome.reason == "output \"y\": the candidate's isn't JSON"


def test_deep_documents_are_walked_to_their_ends():
    deep = "[" * 400 + "1" + "]" * 400
    assert documents(deep, deep).agrees
    assert documents(deep, deep.replace("1", "2")).measures["fields_differ"] == 1


def test_documents_of_too_many_fields_are_incomparable():
    large = [0] * (MOST_FIELDS // 3 + 1)  # 3 bytes each, as json writes it
    outcome = documents_of([json.dumps(large)] * 2, [json.dumps(large)] * 2)
    assert outcome.agrees is None
    assert outcome.reason == f'output "y", element 1: there are more than {MOST_FIELDS} fields'


LARGE_NUMBERS = json.dumps([0.123456] * 30_000)
MANY_ARRAYS = json.dumps([[]] * (MOST_ARRAYS + 1))
MANY_FIELDS = [json.dumps([0] * 50_000, separators=(",", ":"))] * 5
REFUSED = [
    (LARGE_NUMBERS, f"a document has more than {LARGEST // 1024} KiB"),
    (MANY_ARRAYS, f"a document has more than {MOST_ARRAYS} arrays"),
    (MANY_FIELDS, f"there are more than {MOST_FIELDS} fields"),
]


@pytest.mark.parametrize(("large", "why"), REFUSED)
@pytest.mark.parametrize("kind", ["json", "auto"])
def test_documents_that_would_hold_the_interpreter_are_refused_without_being_read(
    kind, large, why, monkeypatch
):
    read = []
    monkeypatch.setattr(json_fields, "parsed", read.append)
    outcome = compared(unary(y=large), unary(y=large), kind=kind)
    assert (outcome.agrees, outcome.reason) == (None, f'output "y": {why}')
    assert not read


@pytest.mark.parametrize(("large", "why"), REFUSED)
def test_a_candidates_document_that_is_too_large_is_incomparable_too(large, why):
    count = len(large) if isinstance(large, list) else 1
    outcome = compared(unary(y=["{}"] * count), unary(y=large), kind="json")
    assert (outcome.agrees, outcome.reason) == (None, f'output "y": {why}')


def test_documents_just_within_the_limits_are_compared():
    text = "x" * (LARGEST - 2)
    assert documents(f'"{text}"', f'"{text}"').agrees
    arrays = json.dumps([[]] * (MOST_ARRAYS - 1))
    assert documents(arrays, arrays).agrees
    assert not documents(f'"{text}x"', f'"{text}x"').agrees


def test_elements_and_parts_are_documents_of_their_own():
    outcome = documents_of(["{}", '{"a":1}'], ["{}", '{"a":2}'])
    assert outcome.reason == 'output "y", element 1, at "/a": the numbers differ'
    assert documents_of(["{}", "{}"], ["{}"]).reason == 'output "y": 2 documents against 1'
    primary = stream("y", '{"a":1}', '{"a":2}')
    assert compared(primary, stream("y", '{"a":1}', '{"a":2}'), kind="json").agrees
    assert compared(primary, stream("y", '{"a":1}', '{"a":3}'), kind="json").agrees is False


def documents_of(primary, candidate):
    return compared(unary(y=primary), unary(y=candidate), kind="json")
