from typing import Any

import pytest

from routing.rules.ambiguity import ambiguities
from tests.routing.rules.written_routes import route


def told(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    defaults = {"model": "fraud"}
    routes = (route("one", match=[defaults | one]), route("two", match=[defaults | other]))
    return [str(each) for each in ambiguities(routes)]


def test_two_rules_that_are_alike_are_refused_with_both_places() -> None:
    assert told({}, {}) == [
        "one.yaml:7: match: as specific as the rule of two in two.yaml:7,"
        " and some requests fit both"
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model": "fraud-*"}, {"model": "*-fraud"}),
        ({"model": "fr*"}, {"model": "*ud"}),
        ({"tenants": ["a", "b"]}, {"tenants": ["b", "c"]}),
        ({"tenants": ["a*"]}, {"tenants": ["*b"]}),
        ({"claims": {"tier": "gold"}}, {"claims": {"tier": "gold"}}),
        ({"claims": {"tier": "gold"}}, {"claims": {"region": "eu"}}),
        ({"claims": {"tier": "g*"}}, {"claims": {"tier": "*d"}}),
        ({"headers": {"X-Beta": "1"}}, {"headers": {"x-beta": "1"}}),
    ],
)
def test_rules_that_some_request_fits_alike_are_ambiguous(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert len(told(one, other)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"model": "fraud2"}),
        ({}, {"model": "*"}),
        ({"model": "fr*"}, {"model": "fx*"}),
        ({"tenants": ["a"]}, {"tenants": ["b"]}),
        ({"tenants": ["a"]}, {"tenants": ["a*"]}),
        ({"claims": {"tier": "gold"}}, {"claims": {"tier": "silver"}}),
        ({"claims": {"tier": "gold"}}, {"claims": {"tier": "g*"}}),
        ({"headers": {"x": "1"}}, {"headers": {"x": "2"}}),
        ({"claims": {"tier": "gold"}}, {"headers": {"tier": "gold"}}),
    ],
)
def test_rules_that_exclude_each_other_or_differ_in_rank_are_not(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert told(one, other) == []


def test_rules_of_one_route_may_overlap() -> None:
    assert list(ambiguities([route(match=[{"model": "fr*"}, {"model": "*ud"}])])) == []


def test_routes_of_different_models_are_not_ambiguous() -> None:
    routes = [route(f"r{i}", match=[{"model": f"m{i}"}]) for i in range(30)]

    assert list(ambiguities(routes)) == []
