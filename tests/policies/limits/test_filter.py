from dataclasses import replace

import pytest

from policies.limits import buckets
from policies.limits import filter as module
from policies.limits.buckets import Buckets
from policies.limits.limiter import LimitName
from protos.errors import Kind
from tests.policies.limits.limited import (
    Clock,
    admitted,
    limit,
    limits_by,
    refusal,
    request,
    route,
)


def test_a_burst_passes_and_then_the_rate() -> None:
    clock, of = Clock(), route(limit(requests="10/s", burst=20))
    limits = limits_by(clock)
    assert sum(admitted(limits, request(of)) for _ in range(30)) == 20
    clock.now += 1.0
    assert sum(admitted(limits, request(of)) for _ in range(30)) == 10


def test_without_a_burst_one_periods_amount_may_come_at_once() -> None:
    limits, of = limits_by(Clock()), route(limit(requests="5/10s"))
    assert sum(admitted(limits, request(of)) for _ in range(10)) == 5


def test_a_refusal_says_what_and_when_to_come_again() -> None:
    limits, of = limits_by(Clock()), route(limit(requests="2/s", burst=1))
    assert admitted(limits, request(of))
    error = refusal(limits, request(of))
    assert error.message == "the limit of requests for each tenant is reached"
    assert error.retry_after == pytest.approx(0.5)


def test_who_waits_as_told_is_admitted() -> None:
    clock, of = Clock(), route(limit(requests="3/s", burst=1))
    limits = limits_by(clock)
    for _ in range(20):
        assert admitted(limits, request(of))
        clock.now += (refusal(limits, request(of)).retry_after or 0.0) + 1e-9


@pytest.mark.parametrize(
    ("per", "same", "other"),
    [
        ("tenant", {"subject": "bob"}, {"tenant": "other"}),
        ("key", {"tenant": "other"}, {"subject": "bob"}),
        ("model", {"tenant": "other"}, {"model": "fraud-large"}),
    ],
)
def test_a_limit_holds_for_each_of_its_kind(
    per: str, same: dict[str, str], other: dict[str, str]
) -> None:
    limits, of = limits_by(Clock()), route(limit(per=per, requests="1/s"))
    assert admitted(limits, request(of))
    assert not admitted(limits, request(of, **same))  # type: ignore[arg-type]
    assert admitted(limits, request(of, **other))  # type: ignore[arg-type]


def test_a_limit_of_the_route_holds_for_all_together() -> None:
    limits, of = limits_by(Clock()), route(limit(per="route", requests="1/s"))
    assert admitted(limits, request(of))
    other = request(of, tenant="other", subject="bob", model="fraud-large")
    assert refusal(limits, other).message == "the limit of requests is reached"


def test_routes_have_limits_of_their_own() -> None:
    limits, one = limits_by(Clock()), limit(requests="1/s")
    assert admitted(limits, request(route(one)))
    assert admitted(limits, request(route(one, name="other")))


def test_rows_are_dimension_0() -> None:
    limits, of = limits_by(Clock()), route(limit(rows="100/s"))
    assert admitted(limits, request(of, rows=60))
    assert not admitted(limits, request(of, rows=60))
    assert admitted(limits, request(of, rows=40))


def test_requests_without_rows_take_one() -> None:
    limits, of = limits_by(Clock()), route(limit(rows="5/s"))
    assert sum(admitted(limits, request(of, rows=0)) for _ in range(10)) == 5


def test_rows_that_could_never_come_at_once_are_refused_for_good() -> None:
    limits, of = limits_by(Clock()), route(limit(rows="100/s", burst=50))
    error = refusal(limits, request(of, rows=51))
    assert error.kind is Kind.TOO_LARGE
    assert error.retry_after is None
    assert error.message == "the request has 51 rows; at most 50 may come at once"


def test_observing_counts_and_refuses_nothing() -> None:
    limits, of = limits_by(Clock()), route(limit(requests="10/s", mode="observe"))
    assert sum(admitted(limits, request(of)) for _ in range(25)) == 25
    assert limits.refused == {LimitName("fraud", "tenant", "requests", "observe"): 15}


def test_refusals_are_counted_by_limit() -> None:
    limits, of = limits_by(Clock()), route(limit(requests="1/s"), limit(per="key", rows="9/s"))
    for _ in range(3):
        admitted(limits, request(of))
    assert limits.refused == {LimitName("fraud", "tenant", "requests", "enforce"): 2}


def test_a_request_that_one_limit_refuses_takes_nothing_of_the_others() -> None:
    clock = Clock()
    of = route(limit(requests="10/s"), limit(per="key", requests="1/s", burst=1))
    limits = limits_by(clock)
    for _ in range(50):
        admitted(limits, request(of))
    assert sum(admitted(limits, request(of, subject=f"user {i}")) for i in range(20)) == 9


def test_buckets_outlive_the_snapshots_of_their_route() -> None:
    limits, one = limits_by(Clock()), limit(requests="1/s")
    assert admitted(limits, request(route(one)))
    assert not admitted(limits, request(route(limit(rows="1k/s"), one)))


def test_changes_of_any_route_reset_no_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SNAPSHOTS", 50)
    monkeypatch.setattr(module, "ALLOWANCES", 50)
    limits, one = limits_by(Clock()), limit(requests="1/1d")
    total = 0
    for _ in range(10):  # all snapshots are new each time
        total += sum(admitted(limits, request(route(one, name=f"r{i}"))) for i in range(120))
    assert total == 120


def test_more_routes_than_are_at_hand_keep_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SNAPSHOTS", 50)
    monkeypatch.setattr(module, "ALLOWANCES", 50)
    limits = limits_by(Clock())
    routes = [route(limit(requests="1/1h"), name=f"r{i}") for i in range(120)]
    assert sum(admitted(limits, request(of)) for _ in range(10) for of in routes) == 120


def test_limiters_whose_buckets_are_full_again_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ALLOWANCES", 50)
    clock, lasting = Clock(), route(limit(requests="1/1d"), name="lasting")
    limits = limits_by(clock)
    assert admitted(limits, request(lasting))
    for number in range(1000):
        assert admitted(limits, request(route(limit(requests="10/s"), name=f"r{number}")))
        clock.now += 0.1
    assert len(limits._allowances) <= 50
    assert not admitted(limits, request(lasting))


def test_snapshots_old_and_new_share_a_limiter_that_was_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ALLOWANCES", 2)
    clock, one = Clock(), limit(requests="1/s")
    limits, old, new = limits_by(clock), route(one), route(one)
    assert admitted(limits, request(old))
    clock.now += 2.0
    for number in range(4):
        admitted(limits, request(route(one, name=f"r{number}")))
    assert admitted(limits, request(new))
    assert not admitted(limits, request(old))


def test_the_same_limit_twice_counts_twice_apart() -> None:
    limits, of = limits_by(Clock()), route(limit(requests="4/s"), limit(requests="4/s"))
    assert sum(admitted(limits, request(of)) for _ in range(10)) == 4


def test_a_request_without_a_route_has_no_limits() -> None:
    assert admitted(limits_by(Clock()), request(None))


def test_ten_thousand_tenants_more_dont_grow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "BUCKETS", 50)
    clock, of = Clock(), route(limit(requests="1/m"))
    limits = limits_by(clock)
    for number in range(600):
        assert admitted(limits, request(of, tenant=f"tenant {number}"))
        if number % 50 == 0:
            clock.now += 0.001
            error = refusal(limits, request(of, tenant=f"tenant {number}"))
            assert error.kind is Kind.RATE_LIMITED  # the one in use is remembered
    (bucket,) = limits._allowances.values()
    assert isinstance(bucket, Buckets)
    assert len(bucket) <= 50


def test_a_limit_is_for_the_tenants_it_names() -> None:
    of = route(limit(requests="1/s", tenants=["free-*"]), limit(requests="3/s", tenants=["gold"]))
    limits = limits_by(Clock())
    for tenant, passed in (("free-1", 1), ("free-2", 1), ("gold", 3), ("other", 9)):
        assert sum(admitted(limits, request(of, tenant=tenant)) for _ in range(9)) == passed


def test_to_observe_or_to_enforce_a_limit_forgets_nothing() -> None:
    limits = limits_by(Clock())
    assert admitted(limits, request(route(limit(requests="1/s", mode="observe"))))
    assert not admitted(limits, request(route(limit(requests="1/s"))))


def test_a_budget_that_is_raised_in_mid_month_knows_what_was_used() -> None:
    limits = limits_by(Clock())
    for amount, passed in ((3, 3), (5, 2)):
        of = route(limit(budget={"every": "month", "requests": amount}))
        assert sum(admitted(limits, request(of)) for _ in range(9)) == passed


def test_keys_of_several_issuers_dont_meet() -> None:
    limits, of = limits_by(Clock()), route(limit(per="key", requests="1/s"))
    for issuer, subject in (("a", "b"), ("a b", ""), ("", "a b"), ("b", "a")):
        given = request(of)
        who = replace(given.context.principal, issuer=issuer, subject=subject)
        asked = replace(given, context=replace(given.context, principal=who))
        assert admitted(limits, asked)
        assert not admitted(limits, asked)
