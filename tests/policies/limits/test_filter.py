import asyncio
import json
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.limits import filter as module
from policies.limits.filter import Buckets, LimitName, Limits, rows
from protos.errors import Kind, PenstockError
from protos.route.document import Spec
from protos.route.match import Backend, Match
from protos.route.policies import Limit
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply
from protos.values import Context, InferRequest, Part, Principal, Tensor, Tensors, Timeline

REPLY = Reply(Part(Tensors(()), "1", {}, True))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limit(**written: object) -> Limit:
    return Limit.model_validate_json(json.dumps({"per": "tenant", **written}))


def route(*limits: Limit, name: str = "fraud") -> RouteSnapshot:
    spec = Spec(
        match=(Match(model="fraud"),),
        backends=(Backend(name="stable", model="fraud"),),
        limits=limits,
    )
    return RouteSnapshot(name, "1", spec, ())


def request(
    of: RouteSnapshot | None,
    *,
    tenant: str = "acme",
    subject: str = "ann",
    rows: int = 1,
    model: str = "fraud",
) -> InferRequest:
    principal = Principal(subject, tenant, frozenset())
    tensors = Tensors((Tensor("x", "FP32", (rows, 4), b""),))
    context = Context(principal, inf, Timeline(0.0), route=of)
    return InferRequest("1", model, "", tensors, {}, context)


async def service(request: InferRequest) -> Reply:
    return REPLY


def admitted(limits: Limits, given_: InferRequest) -> bool:
    try:
        return asyncio.run(_awaited(limits, given_)) is REPLY
    except PenstockError as error:
        if error.kind is Kind.RATE_LIMITED:
            return False
        raise


async def _awaited(limits: Limits, given_: InferRequest) -> Reply:
    return await limits(given_, service)


def refusal(limits: Limits, given_: InferRequest) -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        asyncio.run(_awaited(limits, given_))
    return caught.value


def test_a_burst_passes_and_then_the_rate() -> None:
    clock, of = Clock(), route(limit(requests="10/s", burst=20))
    limits = Limits(1.0, clock)
    assert sum(admitted(limits, request(of)) for _ in range(30)) == 20
    clock.now += 1.0
    assert sum(admitted(limits, request(of)) for _ in range(30)) == 10


def test_without_a_burst_one_periods_amount_may_come_at_once() -> None:
    limits, of = Limits(1.0, Clock()), route(limit(requests="5/10s"))
    assert sum(admitted(limits, request(of)) for _ in range(10)) == 5


def test_a_refusal_says_what_and_when_to_come_again() -> None:
    limits, of = Limits(1.0, Clock()), route(limit(requests="2/s", burst=1))
    assert admitted(limits, request(of))
    error = refusal(limits, request(of))
    assert error.message == "the limit of requests for each tenant is reached"
    assert error.retry_after == pytest.approx(0.5)


def test_who_waits_as_told_is_admitted() -> None:
    clock, of = Clock(), route(limit(requests="3/s", burst=1))
    limits = Limits(1.0, clock)
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
    limits, of = Limits(1.0, Clock()), route(limit(per=per, requests="1/s"))
    assert admitted(limits, request(of))
    assert not admitted(limits, request(of, **same))  # type: ignore[arg-type]
    assert admitted(limits, request(of, **other))  # type: ignore[arg-type]


def test_a_limit_of_the_route_holds_for_all_together() -> None:
    limits, of = Limits(1.0, Clock()), route(limit(per="route", requests="1/s"))
    assert admitted(limits, request(of))
    other = request(of, tenant="other", subject="bob", model="fraud-large")
    assert refusal(limits, other).message == "the limit of requests is reached"


def test_routes_have_limits_of_their_own() -> None:
    limits, one = Limits(1.0, Clock()), limit(requests="1/s")
    assert admitted(limits, request(route(one)))
    assert admitted(limits, request(route(one, name="other")))


def test_rows_are_dimension_0() -> None:
    limits, of = Limits(1.0, Clock()), route(limit(rows="100/s"))
    assert admitted(limits, request(of, rows=60))
    assert not admitted(limits, request(of, rows=60))
    assert admitted(limits, request(of, rows=40))


@pytest.mark.parametrize(
    ("shapes", "counted"),
    [
        ([(1,), (40, 4)], 40),
        ([(40, 4), (1,)], 40),
        ([(), (7,)], 7),
        ([(0, 4)], 1),
        ([()], 1),
        ([], 1),
    ],
)
def test_no_order_of_tensors_makes_a_request_smaller(
    shapes: list[tuple[int, ...]], counted: int
) -> None:
    tensors = tuple(Tensor(f"x{i}", "FP32", shape, b"") for i, shape in enumerate(shapes))
    assert rows(replace(request(None), payload=Tensors(tensors))) == counted


def test_requests_without_rows_take_one() -> None:
    limits, of = Limits(1.0, Clock()), route(limit(rows="5/s"))
    assert sum(admitted(limits, request(of, rows=0)) for _ in range(10)) == 5


def test_rows_that_could_never_come_at_once_are_refused_for_good() -> None:
    limits, of = Limits(1.0, Clock()), route(limit(rows="100/s", burst=50))
    error = refusal(limits, request(of, rows=51))
    assert error.kind is Kind.TOO_LARGE
    assert error.retry_after is None
    assert error.message == "the request has 51 rows; at most 50 may come at once"


def test_observing_counts_and_refuses_nothing() -> None:
    limits, of = Limits(1.0, Clock()), route(limit(requests="10/s", mode="observe"))
    assert sum(admitted(limits, request(of)) for _ in range(25)) == 25
    assert limits.refused == {LimitName("fraud", "tenant", "requests", "observe"): 15}


def test_refusals_are_counted_by_limit() -> None:
    limits, of = Limits(1.0, Clock()), route(limit(requests="1/s"), limit(per="key", rows="9/s"))
    for _ in range(3):
        admitted(limits, request(of))
    assert limits.refused == {LimitName("fraud", "tenant", "requests", "enforce"): 2}


def test_a_request_that_one_limit_refuses_takes_nothing_of_the_others() -> None:
    clock = Clock()
    of = route(limit(requests="10/s"), limit(per="key", requests="1/s", burst=1))
    limits = Limits(1.0, clock)
    for _ in range(50):
        admitted(limits, request(of))
    assert sum(admitted(limits, request(of, subject=f"user {i}")) for i in range(20)) == 9


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_together_admit_what_the_limit_says(workers: int) -> None:
    clock, of = Clock(), route(limit(requests="20/s", burst=40))
    each = [Limits(1 / workers, clock) for _ in range(workers)]
    total = 0
    for step in range(1000):
        total += admitted(each[step % workers], request(of))
        clock.now += 0.01
    assert total == pytest.approx(40 + 20 * 10, abs=workers)


def test_a_share_of_less_than_one_request_still_admits_one() -> None:
    clock, of = Clock(), route(limit(requests="1/s", burst=1))
    limits = Limits(0.25, clock)
    assert admitted(limits, request(of))
    assert not admitted(limits, request(of))
    clock.now += 4.0
    assert admitted(limits, request(of))


def test_rows_beyond_a_workers_share_are_admitted_and_paid_for_later() -> None:
    clock, of = Clock(), route(limit(rows="100/s"))
    limits = Limits(0.5, clock)
    assert admitted(limits, request(of, rows=100))
    clock.now += 1.0
    assert not admitted(limits, request(of, rows=1))
    clock.now += 0.1
    assert admitted(limits, request(of, rows=1))


def test_buckets_outlive_the_snapshots_of_their_route() -> None:
    limits, one = Limits(1.0, Clock()), limit(requests="1/s")
    assert admitted(limits, request(route(one)))
    assert not admitted(limits, request(route(limit(rows="1k/s"), one)))


def test_changes_of_any_route_reset_no_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SNAPSHOTS", 50)
    monkeypatch.setattr(module, "LIMITERS", 50)
    limits, one = Limits(1.0, Clock()), limit(requests="1/1d")
    total = 0
    for _ in range(10):  # all snapshots are new each time
        total += sum(admitted(limits, request(route(one, name=f"r{i}"))) for i in range(120))
    assert total == 120


def test_more_routes_than_are_at_hand_keep_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SNAPSHOTS", 50)
    monkeypatch.setattr(module, "LIMITERS", 50)
    limits = Limits(1.0, Clock())
    routes = [route(limit(requests="1/1h"), name=f"r{i}") for i in range(120)]
    assert sum(admitted(limits, request(of)) for _ in range(10) for of in routes) == 120


def test_limiters_whose_buckets_are_full_again_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LIMITERS", 50)
    clock, lasting = Clock(), route(limit(requests="1/1d"), name="lasting")
    limits = Limits(1.0, clock)
    assert admitted(limits, request(lasting))
    for number in range(1000):
        assert admitted(limits, request(route(limit(requests="10/s"), name=f"r{number}")))
        clock.now += 0.1
    assert len(limits._limiters) <= 50
    assert not admitted(limits, request(lasting))


def test_snapshots_old_and_new_share_a_limiter_that_was_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LIMITERS", 2)
    clock, one = Clock(), limit(requests="1/s")
    limits, old, new = Limits(1.0, clock), route(one), route(one)
    assert admitted(limits, request(old))
    clock.now += 2.0
    for number in range(4):
        admitted(limits, request(route(one, name=f"r{number}")))
    assert admitted(limits, request(new))
    assert not admitted(limits, request(old))


def test_the_same_limit_twice_counts_twice_apart() -> None:
    limits, of = Limits(1.0, Clock()), route(limit(requests="4/s"), limit(requests="4/s"))
    assert sum(admitted(limits, request(of)) for _ in range(10)) == 4


def test_limits_by_tokens_count_nothing() -> None:
    limits, of = Limits(1.0, Clock()), route(limit(tokens="1/m"))
    assert sum(admitted(limits, request(of)) for _ in range(5)) == 5


def test_a_request_without_a_route_has_no_limits() -> None:
    assert admitted(Limits(1.0, Clock()), request(None))


def test_ten_thousand_tenants_more_dont_grow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUCKETS", 100)
    clock, of = Clock(), route(limit(requests="1/m"))
    limits = Limits(1.0, clock)
    for number in range(2_000):
        limits._admit(request(of, tenant=f"tenant {number}"), limits._learn(of))
        if number % 50 == 0:
            clock.now += 0.001
            limits.refused.clear()
            error = refusal(limits, request(of, tenant=f"tenant {number}"))
            assert error.kind is Kind.RATE_LIMITED  # the one in use is remembered
    (limiter,) = limits._learn(of)
    assert len(limiter.buckets) <= 100


@settings(deadline=None, max_examples=100)
@given(
    rate=st.floats(0.1, 100.0),
    size=st.floats(1.0, 50.0),
    steps=st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 1.0)), max_size=60),
)
def test_no_stretch_of_time_gets_more_than_the_burst_and_the_rate(
    rate: float, size: float, steps: list[tuple[float, float]]
) -> None:
    now, buckets = 0.0, Buckets(rate, size)
    taken: list[tuple[float, float]] = []
    for pause, part in steps:
        now += pause
        amount = part * size
        wait = buckets.wait("a", amount, now)
        assert wait <= size / rate + 1e-9
        if not wait:
            buckets.take("a", amount, now)
            taken.append((now, amount))
    for first in range(len(taken)):
        total = 0.0
        for at, amount in taken[first:]:
            total += amount
            assert total <= size + rate * (at - taken[first][0] + 1e-5) + 1e-6


@settings(deadline=None, max_examples=50)
@given(amount=st.floats(0.1, 50.0), now=st.floats(0.0, 100.0))
def test_what_is_waited_for_can_then_be_taken(amount: float, now: float) -> None:
    buckets = Buckets(2.0, 50.0)
    buckets.take("a", 50.0, 0.0)
    wait = buckets.wait("a", amount, now)
    assert buckets.wait("a", amount, now + wait) == 0.0
    assert buckets.level("a", now + wait) == pytest.approx(max(amount, min(50.0, 2.0 * now)))
