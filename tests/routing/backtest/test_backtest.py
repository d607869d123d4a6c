from random import Random

import pytest

from routing.backtest.backtest import Backtest
from routing.backtest.impact import Impact, Target
from routing.decisions import Decision
from routing.rules.split import Splitter
from routing.rules.table import RouteTable
from tests.routing.backtest.recorded_decisions import by_users, estimates, opened, recorded
from tests.routing.rules.written_routes import CANARY, STABLE, principal, request, route, table

STICKY = {"key": "jwt.sub"}
BEFORE = table(route(sticky=STICKY))
HALF = table(route(sticky=STICKY, backends=[{**STABLE, "weight": 50}, {**CANARY, "weight": 50}]))
ON_STABLE = Target("fraud", "stable", "fraud", "3")
ON_CANARY = Target("fraud", "canary", "fraud", "4")


def impact(rules: RouteTable, decisions: list[Decision]) -> Impact:
    backtest = Backtest(rules, opened)
    for decision in decisions:
        backtest.add(decision)
    return backtest.impact()


def test_the_same_rules_change_nothing() -> None:
    found = impact(BEFORE, by_users(BEFORE, 500, each=(0.0, 100.0)))
    assert found.before == found.after
    assert found.moves["fraud"].moved.estimate == 0.0
    assert found.rematched == found.undetermined == found.refused == {}
    assert (found.records, found.since, found.until) == (1000, 1000.0, 1100.0)


def test_a_greater_share_moves_users_one_way() -> None:
    moves = impact(HALF, by_users(BEFORE, 2000)).moves["fraud"]
    counts = estimates(moves.matrix)
    assert set(counts) == {("canary", "canary"), ("stable", "stable"), ("stable", "canary")}
    assert counts["stable", "canary"] == pytest.approx(0.45 * 2000, abs=90)
    assert moves.users.estimate == 2000
    assert moves.moved.estimate == pytest.approx(0.45, abs=0.05)


def test_load_is_a_mean_over_the_time_of_the_records() -> None:
    found = impact(HALF, by_users(BEFORE, 100, each=(0.0, 25.0, 50.0), rows=4))
    before, after = found.before, found.after
    assert sum(load.requests.estimate for load in before.values()) == pytest.approx(300 / 50)
    assert sum(load.rows.estimate for load in after.values()) == pytest.approx(1200 / 50)
    assert after[ON_CANARY].requests.estimate > before[ON_CANARY].requests.estimate


def test_device_time_is_that_of_the_model_version_where_it_is_known() -> None:
    decisions = by_users(BEFORE, 400, each=(0.0, 10.0))
    slow = [
        recorded(BEFORE, principal(f"canary {n}"), at=1010.0, compute_seconds=0.05)
        for n in range(400)
    ]
    measured = [each for each in slow if each.arm == "canary"]
    assert measured
    others = [each for each in decisions if each.arm == "stable"]
    found = impact(HALF, others + measured).after[ON_CANARY]
    assert found.device_seconds.estimate == pytest.approx(found.rows.estimate * 0.05)
    assert not found.assumed


def test_device_time_of_a_model_version_that_never_ran_is_assumed() -> None:
    new = table(route(sticky=STICKY, backends=[{**STABLE, "version": "9"}]))
    found = impact(new, by_users(BEFORE, 100))
    load = found.after[Target("fraud", "stable", "fraud", "9")]
    assert load.assumed
    assert load.device_seconds.estimate == pytest.approx(100 * 0.01)
    assert not found.before[ON_STABLE].assumed


def test_requests_without_stickiness_load_arms_by_their_weights() -> None:
    found = impact(table(route()), by_users(BEFORE, 200))
    loads = {target.arm: load.requests.estimate for target, load in found.after.items()}
    assert loads == {"stable": pytest.approx(190), "canary": pytest.approx(10)}
    assert {after for _, after in found.moves["fraud"].matrix} == {"(by chance)"}


def test_a_user_counts_by_the_last_of_its_requests() -> None:
    decisions = [
        recorded(BEFORE, at=1000.0 + n, arm=arm) for n, arm in enumerate(["canary", "stable"])
    ]
    matrix = impact(BEFORE, decisions).moves["fraud"].matrix
    assert {before for before, _ in matrix} == {"stable"}


def test_requests_that_take_another_route_are_said() -> None:
    after = table(
        route(sticky=STICKY), route("acme", match=[{"model": "fraud", "tenants": ["acme"]}])
    )
    decisions = by_users(BEFORE, 30, each=(0.0, 10.0))
    found = impact(after, decisions)
    assert estimates(found.rematched) == {("fraud", "acme"): 6.0}
    assert {to for _, to in found.moves["fraud"].matrix} == {"(by chance)"}


def test_a_model_that_gets_its_first_route_is_said() -> None:
    decisions = by_users(table(route("x", match=[{"model": "x"}])), 10, each=(0.0, 10.0))
    found = impact(table(route(backends=[STABLE])), decisions)
    assert estimates(found.rematched) == {("(no route)", "fraud"): 2.0}
    assert list(found.moves[""].matrix) == [("default", "fraud/stable")]


def test_what_the_records_dont_tell_is_said_and_not_guessed() -> None:
    after = table(route(), route("beta", match=[{"model": "fraud", "headers": {"x-beta": "yes"}}]))
    found = impact(after, by_users(BEFORE, 20, each=(0.0, 10.0)))
    assert estimates(found.undetermined) == {"whether header x-beta is yes": 4.0}
    assert found.after == {}
    assert {to for _, to in found.moves["fraud"].matrix} == {"(not known)"}
    assert (found.moves["fraud"].moved.low, found.moves["fraud"].moved.high) == (0.0, 1.0)


def test_versions_that_nobody_may_ask_for_any_more_are_said() -> None:
    after = table(route(sticky=STICKY, pins="refuse"))
    found = impact(after, by_users(BEFORE, 10, version="4"))
    assert list(found.refused) == ['version: of model "fraud" none can be chosen']


def test_a_request_that_a_limit_refused_would_load_an_arm_and_others_not() -> None:
    decisions = [
        recorded(BEFORE, arm="", served_model="", served_version="", code=code)
        for code in (429, 404, 403)
    ]
    found = impact(BEFORE, decisions)
    assert found.before == {}
    assert sum(load.requests.estimate for load in found.after.values()) == 1.0
    assert found.moves == {}


def test_a_sample_of_users_estimates_all_of_them_with_honest_intervals() -> None:
    """40 samples of a quarter of 1000 users who ask 1 to 5 times."""
    rng, rules = Random(5), BEFORE.match("fraud", principal(), ())
    after = HALF.match("fraud", principal(), ())
    population = [(f"user {n}", 1 + rng.randrange(5)) for n in range(1000)]
    split = Splitter(lambda: 0.0)
    arms = [
        (
            split.choose(rules, request(who, route=rules)),
            split.choose(after, request(who, route=after)),
        )
        for who in (principal(name) for name, _ in population)
    ]
    load = sum(
        size for (_, size), (_, new) in zip(population, arms, strict=True) if new.name == "canary"
    )
    moved = sum(old.name != new.name for old, new in arms)
    records = {name: recorded(BEFORE, principal(name), weight=4.0) for name, _ in population}
    inside = {"load": 0, "moved": 0, "share": 0}
    for _ in range(40):
        sample = [
            records[name] for name, size in population if rng.random() < 0.25 for _ in range(size)
        ]
        found = impact(HALF, sample)
        inside["load"] += load in found.after[ON_CANARY].requests
        inside["moved"] += moved in found.moves["fraud"].matrix["stable", "canary"]
        inside["share"] += moved / 1000 in found.moves["fraud"].moved
    assert min(inside.values()) >= 34
