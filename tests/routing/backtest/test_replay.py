from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.errors import PenstockError
from protos.values import Headers
from routing.backtest.replay import Replay
from routing.rollout.identity import rollout_id
from routing.rules.effect import Effect
from routing.rules.split import Splitter
from routing.rules.table import RouteTable
from tests.routing.backtest.recorded_decisions import opened, recorded
from tests.routing.rules.written_routes import (
    CANARY,
    STABLE,
    STEPS,
    principal,
    request,
    route,
    table,
)

SUBJECT = {"key": "jwt.sub", "salt": "x"}


def sticky(key: str = "jwt.sub", **spec: Any) -> RouteTable:
    return table(route(sticky={"key": key}, **spec))


def where(before: RouteTable, after: RouteTable, **asked: Any) -> Any:
    return Replay(after, opened).of(recorded(before, **asked))


def test_a_user_goes_to_the_arm_that_the_splitter_gives() -> None:
    before, after = sticky(), sticky(backends=[STABLE, {**CANARY, "weight": 60}])
    found = after.match("fraud", principal(), ())
    for number in range(200):
        who = principal(f"user {number}")
        expected = Splitter(lambda: 0.0).choose(found, request(who, route=found))
        assert where(before, after, who=who).arms == ((expected, 1.0),)


def test_without_a_sticky_key_arms_are_probable_by_their_weights() -> None:
    found = where(table(route()), table(route()))
    assert [(arm.name, share) for arm, share in found.arms] == [("stable", 0.95), ("canary", 0.05)]


def test_stickiness_by_the_subject_is_known_from_records_without_any() -> None:
    assert len(where(table(route()), sticky("jwt.sub")).arms) == 1


def test_stickiness_by_the_tenant_is_always_known() -> None:
    found = where(table(route()), sticky("tenant"))
    route_ = sticky("tenant").match("fraud", principal(), ())
    expected = Splitter(lambda: 0.0).choose(route_, request(route=route_))
    assert [arm.name for arm, _ in found.arms] == [expected.name]


def test_a_key_that_was_not_recorded_is_undetermined() -> None:
    found = where(sticky("jwt.sub"), sticky("header.x-user"))
    assert found.undetermined == "the sticky key header.x-user"
    assert found.arms == ()


def test_a_request_without_the_sticky_key_goes_by_chance_then_and_now() -> None:
    assert len(where(sticky("header.x-user"), sticky("header.x-user")).arms) == 2


def test_a_user_that_another_key_sealed_is_undetermined() -> None:
    replay = Replay(sticky(), lambda user: None)
    assert "sealed" in replay.of(recorded(sticky())).undetermined


def test_a_header_that_no_rule_wanted_before_is_undetermined() -> None:
    after = table(route(), route("beta", match=[{"model": "fraud", "headers": {"x-beta": "yes"}}]))
    found = where(table(route()), after)
    assert found.undetermined == "whether header x-beta is yes"
    assert found.route is None


def test_a_rule_that_fails_for_another_reason_leaves_nothing_undetermined() -> None:
    after = table(
        route(),
        route("beta", match=[{"model": "fraud", "tenants": ["b"], "headers": {"x-beta": "yes"}}]),
    )
    assert where(table(route()), after).route.name == "fraud"


def test_a_model_that_loses_its_route_is_served_by_its_own_name() -> None:
    found = where(table(route()), table(route("other", match=[{"model": "other"}])))
    assert found.route.implicit
    assert [(arm.model, share) for arm, share in found.arms] == [("fraud", 1.0)]


def test_a_pinned_version_goes_where_the_new_route_lets_it() -> None:
    pinned = {"version": "4"}
    assert [a.name for a, _ in where(table(route()), table(route()), **pinned).arms] == ["canary"]
    gone = table(route(backends=[STABLE]))
    assert where(table(route()), gone, **pinned).refused == (
        'model "fraud" has no version "4"; it has 3'
    )


def test_a_rollout_that_nothing_was_heard_of_gives_its_candidate_nothing() -> None:
    rolled = route(rollout={**STEPS})
    found = where(sticky(), table(rolled))
    assert [arm.name for arm, _ in found.arms] == ["stable"]
    half = table(rolled, effects=(Effect("fraud", rollout_id(rolled.route), "canary", 50.0),))
    assert {arm.name: share for arm, share in where(sticky(), half).arms} == {
        "stable": 0.5,
        "canary": 0.5,
    }


VALUE = st.sampled_from(["a", "b", "*"])
RULE = st.fixed_dictionaries(
    {"model": st.sampled_from(["fraud", "fr*", "other"])},
    optional={
        "tenants": st.sampled_from([["acme"], ["b*"], ["*"]]),
        "headers": st.dictionaries(st.sampled_from(["x", "y"]), VALUE, max_size=2),
        "claims": st.dictionaries(st.just("role"), VALUE, max_size=1),
    },
)
ROUTES = st.lists(
    st.tuples(RULE, st.sampled_from([None, "jwt.sub", "header.x", "tenant"])),
    min_size=1,
    max_size=4,
)


def made(routes: list[tuple[dict[str, Any], str | None]]) -> RouteTable:
    return table(
        *(
            route(f"r{i}", match=[rule], **({} if key is None else {"sticky": {"key": key}}))
            for i, (rule, key) in enumerate(routes)
        )
    )


@settings(deadline=None, max_examples=80)
@given(
    before=ROUTES,
    after=ROUTES,
    tenant=st.sampled_from(["acme", "bank"]),
    header=st.one_of(st.none(), st.sampled_from(["a", "b", "c"])),
    role=st.one_of(st.none(), st.sampled_from(["a", "c"])),
    version=st.sampled_from(["", "3"]),
)
def test_what_is_determined_is_what_the_serving_code_does(
    before: list[tuple[dict[str, Any], str | None]],
    after: list[tuple[dict[str, Any], str | None]],
    tenant: str,
    header: str | None,
    role: str | None,
    version: str,
) -> None:
    who = principal(tenant=tenant, **({} if role is None else {"role": role}))
    headers: Headers = () if header is None else [(b"x", header.encode())]
    rules = made(after)
    decision = recorded(made(before), who, headers=headers, version=version)
    found = Replay(rules, opened).of(decision)
    if found.route is None:
        assert found.undetermined
        return
    expected = rules.match("fraud", who, headers)
    assert found.route.name == expected.name
    given_ = request(who, version=version, headers=headers, route=expected)
    possible, refused = set(), ""
    for chance in (0.0, 0.999999):
        try:
            possible.add(Splitter(lambda chance=chance: chance).choose(expected, given_).name)
        except PenstockError as error:
            refused = error.message
    assert found.refused == refused
    if not (found.undetermined or refused):
        assert {arm.name for arm, _ in found.arms} == possible
    assert Replay(rules, opened).of(replace(decision, attributes={})).arms in (found.arms, ())


@pytest.mark.parametrize("weights", [(1, 0), (0, 1)])
def test_an_arm_without_weight_gets_nobody(weights: tuple[int, int]) -> None:
    stable, canary = weights
    arms = [{**STABLE, "weight": stable}, {**CANARY, "weight": canary}]
    found = where(sticky(), sticky(backends=arms))
    assert [arm.name for arm, _ in found.arms] == ["stable" if stable else "canary"]
