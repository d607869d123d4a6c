from typing import Any

import pytest

from routing.rules.rule import Rule, in_order, rules_of
from tests.routing.rules.written_routes import principal, route


def rules(**match: Any) -> list[Rule]:
    return list(rules_of(route(match=[{"model": "fraud", **match}])))


def test_tenants_of_different_rank_become_rules_of_their_own() -> None:
    found = rules(tenants=["bank", "acme", "bank-*", "*"])

    assert [[str(each) for each in rule.tenants] for rule in found] == [
        ["bank", "acme"],
        ["bank-*"],
        ["*"],
    ]


def test_a_rule_knows_its_line() -> None:
    loaded = route(match=[{"model": "fraud"}, {"model": "other"}])
    lines = loaded.text.splitlines()

    assert [lines[rule.line - 1].strip() for rule in rules_of(loaded)] == [
        "- model: fraud",
        "- model: other",
    ]


def test_all_conditions_must_hold_and_the_first_that_does_not_is_told() -> None:
    (rule,) = rules(claims={"tier": "gold*"}, headers={"X-Beta": "yes"})
    gold = principal(tier=["silver", "gold-plus"])

    assert rule.unmet(gold, [(b"x-beta", b"yes")]) is None
    assert str(rule.unmet(gold, [])) == "header x-beta: yes"
    assert str(rule.unmet(principal(tier="tin"), [])) == "claim tier: gold*"


ORDER: list[dict[str, Any]] = [
    {"model": "fraud", "tenants": ["bank"], "claims": {"a": "1", "b": "1"}},
    {"model": "fraud", "tenants": ["bank"], "claims": {"a": "1"}, "headers": {"h": "1"}},
    {"model": "fraud", "tenants": ["bank"], "claims": {"a": "1"}},
    {"model": "fraud", "tenants": ["bank"], "claims": {"a": "1*"}},
    {"model": "fraud", "tenants": ["bank"], "headers": {"h": "1", "i": "1"}},
    {"model": "fraud", "tenants": ["bank"], "headers": {"h": "1"}},
    {"model": "fraud", "tenants": ["bank"]},
    {"model": "fraud", "tenants": ["ban*"], "claims": {"a": "1", "b": "1"}},
    {"model": "fraud", "tenants": ["b*"]},
    {"model": "fraud", "claims": {"a": "1"}},
    {"model": "fraud"},
    {"model": "frau*", "tenants": ["bank"]},
    {"model": "frau*"},
    {"model": "f*", "tenants": ["bank"]},
    {"model": "*", "tenants": ["bank"], "headers": {"h": "1"}},
    {"model": "*"},
]


def test_the_written_order_of_specificity() -> None:
    loaded = [route(f"r{i}", match=[match]) for i, match in enumerate(ORDER)]

    ordered = in_order(rule for each in reversed(loaded) for rule in rules_of(each))

    assert [rule.route for rule in ordered] == [f"r{i}" for i in range(len(ORDER))]
    assert len({rule.specificity for rule in ordered}) == len(ORDER)


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ({}, "exact model, any tenant"),
        ({"tenants": ["a"], "claims": {"x": "1"}}, "exact model, exact tenant, 1 claim"),
        (
            {"model": "fra*", "tenants": ["a*b"], "headers": {"x": "1", "y": "*"}},
            "model pattern of 3 characters, tenant pattern of 2 characters, 2 headers",
        ),
        ({"model": "*"}, "any model, any tenant"),
    ],
)
def test_specificity_is_said_in_words(match: dict[str, Any], said: str) -> None:
    (rule,) = rules(**match)

    assert str(rule.specificity) == said
