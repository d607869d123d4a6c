import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.routes.documents import check_texts
from gateway.routes.explain import Explanation, explain
from gateway.routes.question import question
from protos.errors import Kind, PenstockError
from routing.rollout.identity import rollout_id
from routing.rules.effect import Effect
from routing.rules.split import Splitter
from routing.rules.table import RouteTable
from tests.routing.rules.written_routes import (
    CANARY,
    STABLE,
    STEPS,
    principal,
    privacy,
    request,
    route,
    table,
    text,
)


def splitter() -> Splitter:
    return Splitter(lambda: 0.0)


def row(instance: str, *versions: str, state: str = "ready", model_state: str = "READY") -> Any:
    models = [
        {"name": name, "version": version, "state": model_state}
        for name, version in (each.split("/") for each in versions)
    ]
    return {"instance": instance, "state": state, "models": models}


ROWS = [row("one", "fraud/3", "fraud/4"), row("two", "fraud/4", state="suspect")]
STICKY = {"key": "jwt.sub", "salt": "s"}


def asked(*routes: Any, rows: Any = ROWS, effects: Any = (), **what: Any) -> Explanation:
    found = table(*routes, effects=effects)
    whole = {"model": "fraud", "tenant": "acme", "subject": "u1", "issuer": "bank-sso", **what}
    return explain(found, splitter(), question(whole), rows)


def test_the_arm_is_the_one_that_the_splitter_chooses() -> None:
    document = route(sticky=STICKY)
    for number in range(50):
        user = f"u{number}"
        served = table(document).match("fraud", principal(user), ())
        arm = splitter().choose(served, request(principal(user)))

        told = asked(document, subject=user)

        assert (told.arm, told.chosen_by) == (arm.name, "sticky")
        assert told.target == {"model": "fraud", "version": arm.version}


def test_arms_have_their_shares_and_where_they_serve() -> None:
    told = asked(route(), effects=(), rows=ROWS)

    stable, canary = told.arms
    assert (stable.share, canary.share) == (95.0, 5.0)
    assert (canary.serves, canary.problem) == ("4", None)
    assert [(i.instance, i.state) for i in canary.instances] == [
        ("one", "ready"),
        ("two", "suspect"),
    ]


@pytest.mark.parametrize(
    ("spec", "what", "by"),
    [
        ({}, {"version": "4"}, "pin"),
        ({"backends": [STABLE]}, {}, "only arm"),
        ({"sticky": STICKY}, {}, "sticky"),
        ({}, {}, "chance"),
        ({"sticky": {"key": "header.x"}}, {}, "chance"),
        ({}, {"version": "9"}, "refused"),
    ],
)
def test_what_decided_is_told(spec: dict[str, Any], what: dict[str, Any], by: str) -> None:
    assert asked(route(**spec), **what).chosen_by == by


def test_where_chance_decides_no_arm_is_named() -> None:
    told = asked(route())

    assert (told.arm, told.target, told.problem) == (None, None, None)


def test_a_refusal_is_told_as_the_client_reads_it() -> None:
    told = asked(route(), version="9")

    assert told.problem == 'model "fraud" has no version "9"; it has 3, 4'
    assert told.arm is None


def test_a_fallback_is_told_with_the_arm_that_cannot_serve() -> None:
    backends = [STABLE, {**CANARY, "fallback": "stable", "weight": 100_000}]
    document = route(backends=backends, sticky=STICKY)

    told = asked(document, rows=[row("one", "fraud/3")])

    assert (told.arm, told.fallback_from) == ("stable", "canary")


def test_what_nobody_serves_is_a_problem() -> None:
    told = asked(route(backends=[STABLE]), rows=[row("one", "fraud/3", model_state="LOADING")])

    assert told.problem == 'model "fraud" is not available now'
    assert told.arms[0].problem == 'model "fraud" version "3" is not ready'


def test_without_a_gateway_nothing_is_said_of_endpoints() -> None:
    told = asked(route(backends=[{"name": "only", "model": "fraud"}]), rows=None)

    assert (told.arm, told.problem, told.endpoints_known) == ("only", None, False)
    assert told.target == {"model": "fraud", "version": ""}


def test_every_rule_is_told_with_why_it_lost() -> None:
    told = asked(
        route("winner", match=[{"model": "fraud", "tenants": ["acme"]}, {"model": "f*"}]),
        route("bank", match=[{"model": "fraud", "tenants": ["bank", "cash"]}]),
        route("beta", match=[{"model": "fraud", "headers": {"X-Beta": "1"}}]),
        route("gold", match=[{"model": "fraud", "claims": {"tier": "gold"}}]),
        route("all", match=[{"model": "*"}]),
        route("other", match=[{"model": "other"}]),
    )

    assert told.route == "winner"
    assert [(each.route, each.won, each.reason) for each in told.rules if each.of_model] == [
        ("bank", False, "the tenant is not bank or cash"),
        ("winner", True, "the most specific that holds"),
        ("gold", False, "the claim tier is not gold"),
        ("beta", False, "the header x-beta is not 1"),
        ("winner", False, "holds, but is less specific"),
        ("all", False, "holds, but is less specific"),
    ]


def test_two_that_a_list_of_claims_fits_are_told_apart_by_name() -> None:
    told = asked(
        route("b", match=[{"model": "fraud", "claims": {"role": "x"}}]),
        route("a", match=[{"model": "fraud", "claims": {"role": "y"}}]),
        claims={"role": ["x", "y"]},
    )

    assert told.route == "a"
    assert told.rules[1].reason == "holds and is as specific, but a comes first by name"


def test_headers_and_claims_are_those_of_the_question() -> None:
    document = route(match=[{"model": "fraud", "headers": {"X-Beta": "1"}, "claims": {"n": "7"}}])

    assert asked(document, headers={"x-Beta": "1"}, claims={"n": 7}).route == "fraud"
    assert asked(document).route is None


def test_a_model_without_a_route_has_no_policies() -> None:
    told = asked(rows=ROWS)

    assert (told.route, told.arm, told.policies) == (None, "default", {})
    assert told.target == {"model": "fraud", "version": "4"}


def test_the_rollout_and_mirrors_in_force_are_told() -> None:
    mirror = {"backend": "next", "model": "fraud", "version": "5", "percent": 10}
    document = route(rollout=STEPS, mirror=[mirror], timeouts={"total": "2s"})

    id_ = rollout_id(document.route)
    told = asked(document, effects=(Effect("fraud", id_, "canary", 20.0),))

    assert told.rollout == {"id": id_, "candidate": "canary"}
    assert [each.share for each in told.arms] == [80.0, 20.0]
    assert told.mirrors[0]["percent"] == 10.0
    assert told.policies["timeouts"]["total"] == "2s"


@pytest.mark.parametrize(("written", "told"), [("enforce", "enforce"), ("observe", "observe")])
def test_a_policy_is_told_with_the_mode_that_is_in_force(written: str, told: str) -> None:
    files = [
        ("a.yaml", text(privacy={"policy": "bank"})),
        ("b.yaml", privacy("bank", mode=written)),
    ]
    documents = check_texts(files)
    rules = RouteTable(documents.routes, {}, documents.policies)

    found = explain(rules, splitter(), question({"model": "fraud"}), None)

    assert found.policies["privacy"] == {"policy": "bank", "mode": told}


def test_an_explanation_is_json() -> None:
    told = asked(route(sticky=STICKY, limits=[{"per": "tenant", "requests": "100/s"}]))

    assert json.loads(json.dumps(told.to_json()))["arm"] == told.arm


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "model"),
        ({"model": "m", "tenant": 7}, "tenant"),
        ({"model": "m", "tennant": "a"}, 'did you mean "tenant"'),
        ({"model": "m", "headers": ["a"]}, "headers"),
        (["m"], "mapping"),
    ],
)
def test_a_wrong_question_is_refused_with_its_field(wrong: object, field: str) -> None:
    with pytest.raises(PenstockError, match=field) as caught:
        question(wrong)

    assert caught.value.kind is Kind.INVALID


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["*", "f*", "fraud", "*d"]), min_size=1, max_size=4),
    st.sampled_from(["fraud", "fd", "x"]),
)
def test_the_rule_that_is_said_to_win_is_of_the_route_that_serves(
    models: list[str], model: str
) -> None:
    documents = [route(f"r{i}", match=[{"model": each}]) for i, each in enumerate(models)]

    told = asked(*documents, rows=None, model=model)

    assert [each.route for each in told.rules if each.won] == ([told.route] if told.route else [])
