from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def impact(proposed: RouteTable, decisions: list[Decision], now: RouteTable = BEFORE) -> Impact:
    backtest = Backtest(now, proposed, opened)
    for decision in decisions:
        backtest.add(decision)
    return backtest.impact()


def nothing_changes(found: Impact) -> bool:
    moves = [pair for each in found.moves.values() for pair in each.matrix]
    return (
        found.before == found.after
        and all(before == after for before, after in moves)
        and found.rematched == found.refused == {}
    )


def test_the_same_rules_change_nothing() -> None:
    found = impact(BEFORE, by_users(BEFORE, 500, each=(0.0, 100.0)))
    assert nothing_changes(found)
    assert found.moves["fraud"].moved.high == 0.0
    assert found.undetermined == {}
    assert (found.records, found.since, found.until) == (1000, 1000.0, 1100.0)
    assert (found.elsewhere, found.complete) == (0, True)


@pytest.mark.parametrize(
    "earlier",
    [
        HALF,
        table(route("retired", sticky=STICKY)),
        table(route(sticky=STICKY, backends=[CANARY])),
        table(route(pins="any")),
        table(),
    ],
)
def test_what_was_in_force_when_records_were_made_is_no_change(earlier: RouteTable) -> None:
    records = by_users(earlier, 200, each=(0.0, 10.0), weight=2.0)
    records += by_users(earlier, 10, each=(11.0,), version="9" if not earlier.rules else "4")
    found = impact(BEFORE, records)
    assert nothing_changes(found)
    assert (found.elsewhere, found.complete) == (410, False)


CONDITIONS = [
    {"model": "fraud"},
    {"model": "fr*", "tenants": ["acme"]},
    {"model": "fraud", "headers": {"x-beta": "yes"}},
    {"model": "fraud", "claims": {"tier": "gold"}},
]
TABLES = st.builds(
    lambda rules, key, weight, pins: table(
        *(
            route(
                f"r{number}",
                match=[rule],
                pins=pins,
                backends=[STABLE, {**CANARY, "weight": weight}],
                **({} if key is None else {"sticky": {"key": key}}),
            )
            for number, rule in enumerate(rules)
        )
    ),
    st.lists(st.sampled_from(CONDITIONS), max_size=3, unique_by=str),
    st.sampled_from([None, "jwt.sub", "tenant", "header.x-user"]),
    st.sampled_from([0, 5, 50]),
    st.sampled_from(["arms", "refuse", "any"]),
)


@settings(deadline=None, max_examples=40)
@given(
    earlier=TABLES, now=TABLES, codes=st.lists(st.sampled_from([200, 404, 429, 503]), min_size=1)
)
def test_the_routes_in_force_never_change_anything(
    earlier: RouteTable, now: RouteTable, codes: list[int]
) -> None:
    records = [
        recorded(earlier, principal(f"user {n}"), at=1000.0 + n, code=code, weight=2.0)
        for n, code in enumerate(codes)
    ]
    assert nothing_changes(impact(now, records, now))


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


def test_a_route_that_becomes_sticky_moves_nobody_who_had_no_arm_of_its_own() -> None:
    found = impact(HALF, by_users(table(route()), 50), table(route()))
    moves = found.moves["fraud"]
    assert {before for before, _ in moves.matrix} == {"(by chance)"}
    assert {after for _, after in moves.matrix} == {"stable", "canary"}
    assert (moves.moved.low, moves.moved.high) == (0.0, 1.0)


def test_a_user_counts_by_the_last_of_its_requests() -> None:
    decisions = [
        recorded(BEFORE, at=1000.0 + n, version=version) for n, version in enumerate(["4", "3"])
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
    found = impact(table(route(backends=[STABLE])), decisions, table())
    assert estimates(found.rematched) == {("(no route)", "fraud"): 2.0}
    assert list(found.moves[""].matrix) == [("default", "fraud/stable")]


def test_what_the_records_dont_tell_is_said_and_not_guessed() -> None:
    after = table(route(), route("beta", match=[{"model": "fraud", "headers": {"x-beta": "yes"}}]))
    found = impact(after, by_users(BEFORE, 20, each=(0.0, 10.0)))
    assert estimates(found.undetermined) == {"whether header x-beta is yes": 4.0}
    assert found.before == found.after == {}
    assert {to for _, to in found.moves["fraud"].matrix} == {"(not known)"}
    assert (found.moves["fraud"].moved.low, found.moves["fraud"].moved.high) == (0.0, 1.0)


def test_versions_that_nobody_may_ask_for_any_more_are_said() -> None:
    after = table(route(sticky=STICKY, pins="refuse"))
    found = impact(after, by_users(BEFORE, 10, version="4"))
    assert list(found.refused) == ['version: of model "fraud" none can be chosen']
    assert found.unserved.estimate == 0.0


def test_what_is_refused_now_as_well_is_neither_load_nor_a_change() -> None:
    strict = table(route(sticky=STICKY, pins="refuse"))
    found = impact(strict, by_users(BEFORE, 10, each=(0.0, 5.0), version="4"), strict)
    assert found.before == found.after == found.refused == found.moves == {}
    assert found.unserved.estimate == pytest.approx(4.0)


def test_models_that_there_arent_are_no_load() -> None:
    unknown = table()
    decisions = [
        recorded(unknown, model=f"guess {n}", at=1000.0 + n, code=404, compute_seconds=0.0)
        for n in range(11)
    ]
    found = impact(BEFORE, decisions)
    assert found.before == found.after == found.moves == {}
    assert found.unserved.estimate == pytest.approx(1.1)


def test_a_model_that_there_wasnt_is_load_once_a_route_gives_it_one() -> None:
    decisions = by_users(table(), 10, each=(0.0, 10.0), model="alias", code=404)
    found = impact(table(route(match=[{"model": "alias"}], sticky=STICKY)), decisions)
    assert found.before == {}
    assert {target.route for target in found.after} == {"fraud"}
    assert {before for before, _ in found.moves[""].matrix} == {"(refused)"}


def test_a_request_that_a_limit_refused_would_load_an_arm_and_others_not() -> None:
    decisions = [
        recorded(BEFORE, arm="", served_model="", served_version="", code=code)
        for code in (429, 400, 403)
    ]
    found = impact(HALF, decisions)
    for loads in (found.before, found.after):
        assert sum(load.requests.estimate for load in loads.values()) == 1.0
    assert found.records == 3


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
