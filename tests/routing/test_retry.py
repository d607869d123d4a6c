"""Retries: where a failure allows one, within the budget, never more than three attempts."""

import pytest

from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.service import Reply
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Part, Tensor, Tensors
from routing.poison import Poison
from routing.retry import (
    MAX_ATTEMPTS,
    MOST_LOST,
    MOST_ROUTES,
    RESERVE,
    Budget,
    Budgets,
    Retry,
)
from tests.routing.routed import route, routed


def request(tenant="t", data=b"\0\0\0\0", deadline=100.0):
    context = Context(Principal("s", tenant, frozenset()), deadline, Timeline(0.0))
    payload = Tensors((Tensor("x", "FP32", (1,), data),))
    return InferRequest("", "m", "1", payload, {}, context)


OK = Reply(Part(Tensors(()), "1", {}, True))


class Scripted:
    """A service that fails with each kind in turn, then answers; keeps what it was asked."""

    def __init__(self, *kinds):
        self.kinds = list(kinds)
        self.asked = []

    async def __call__(self, request):
        self.asked.append(request)
        request.context.timeline.instances.append(f"b{len(self.asked)}")
        if self.kinds:
            raise PenstockError(self.kinds.pop(0), "scripted")
        return OK


def retry(budget=None, idempotent=True, now=0.0, elsewhere=True):
    budgets = Budgets(budget or Budget(0.0), lambda: now)
    return Retry(budgets, Poison(), lambda _: idempotent, lambda _: elsewhere, lambda: now)


@pytest.mark.parametrize("kind", [Kind.UNAVAILABLE, Kind.OVERLOADED, Kind.LOST, Kind.BAD_REPLY])
async def test_what_another_backend_may_answer_is_tried_again(kind):
    service = Scripted(kind)
    assert await retry()(request(), service) is OK
    assert len(service.asked) == 2


@pytest.mark.parametrize("kind", [Kind.INVALID, Kind.DEADLINE, Kind.MODEL_FAILED, Kind.NOT_FOUND])
async def test_what_would_fail_anywhere_is_not(kind):
    service = Scripted(kind)
    with pytest.raises(PenstockError):
        await retry()(request(), service)
    assert len(service.asked) == 1


async def test_three_attempts_are_the_most():
    service = Scripted(*[Kind.UNAVAILABLE] * 10)
    with pytest.raises(PenstockError):
        await retry()(request(), service)
    assert len(service.asked) == MAX_ATTEMPTS


async def test_a_lost_call_is_repeated_only_if_that_does_no_harm():
    service = Scripted(Kind.LOST)
    with pytest.raises(PenstockError):
        await retry(idempotent=False)(request(), service)
    assert len(service.asked) == 1


async def test_a_call_that_no_batch_held_may_go_elsewhere_once_without_budget():
    broke = Budget(0.0, share=0.0, reserve=0.0)
    service = Scripted(Kind.UNAVAILABLE, Kind.UNAVAILABLE)
    with pytest.raises(PenstockError):
        await retry(broke)(request(), service)
    assert len(service.asked) == 2


async def test_the_only_backend_is_not_asked_again_after_it_refused():
    service = Scripted(Kind.OVERLOADED)
    with pytest.raises(PenstockError):
        await retry(elsewhere=False)(request(), service)
    assert len(service.asked) == 1


async def test_no_attempt_begins_after_the_deadline():
    service = Scripted(Kind.UNAVAILABLE)
    with pytest.raises(PenstockError):
        await retry(now=5.0)(request(deadline=4.0), service)
    assert len(service.asked) == 1


async def test_a_lost_call_is_suspect_afterwards():
    service = Scripted(Kind.LOST)
    await retry()(request(), service)
    assert [r.context.suspect for r in service.asked] == [False, True]


async def test_a_suspect_at_a_second_crash_is_refused_by_fingerprint_within_its_tenant():
    filter_ = retry()
    service = Scripted(Kind.LOST, Kind.LOST)
    with pytest.raises(PenstockError, match="crash"):
        await filter_(request(), service)
    assert len(service.asked) == 2  # it took two backends with it, not three
    with pytest.raises(PenstockError, match="crash"):
        await filter_(request(), service)
    assert len(service.asked) == 2
    assert await filter_(request(tenant="other"), service) is OK
    assert await filter_(request(data=b"\1\0\0\0"), service) is OK


async def test_who_was_cut_off_twice_is_no_poison():
    filter_ = retry()
    service = Scripted(Kind.CUT_OFF, Kind.CUT_OFF)
    assert await filter_(request(), service) is OK
    assert [r.context.suspect for r in service.asked] == [False, False, False]
    assert await filter_(request(), service) is OK


def test_the_budget_is_a_share_of_the_requests():
    budget = Budget(0.0, share=0.1, reserve=0.0)
    for _ in range(1000):
        budget.deposit(0.0)
    assert sum(budget.withdraw(0.0) for _ in range(1000)) in (99, 100)


def test_what_hours_of_good_service_deposited_is_not_spent_at_once():
    budget = Budget(0.0, share=0.1, reserve=3.0, refill=0.0)
    for tick in range(10_000):
        budget.deposit(tick / 100)
    failed = [
        budget.deposit(100 + tick / 100) or budget.withdraw(100 + tick / 100) for tick in range(200)
    ]
    assert sum(failed) <= 0.2 * len(failed) + 3


def test_a_busy_route_may_repeat_what_one_bad_backend_cost_it():
    budget = Budget(0.0, share=0.1, reserve=3.0)
    for tick in range(3000):
        budget.deposit(tick / 1000)
    assert sum(budget.withdraw(3.0) for _ in range(64)) == 64


def test_what_was_raised_for_lost_calls_outlives_the_second_in_which_they_were_lost():
    budget = Budget(0.0, share=0.1, reserve=3.0)
    budget.reserve_for(100)
    budget.deposit(1.0)
    assert sum(budget.withdraw(1.0) for _ in range(100)) == 100


def test_the_reserve_refills_with_time():
    budget = Budget(0.0, share=0.0, reserve=10.0, refill=2.0)
    assert sum(budget.withdraw(0.0) for _ in range(100)) == 10
    assert sum(budget.withdraw(1.0) for _ in range(100)) == 2


def test_a_dead_streams_calls_all_fit():
    budget = Budget(0.0, share=0.0, reserve=0.0)
    budget.reserve_for(500)
    assert sum(budget.withdraw(0.0) for _ in range(600)) == 500


def test_so_do_those_of_several_streams_that_die_at_once():
    budget = Budget(0.0, share=0.0, reserve=0.0)
    for _ in range(3):
        budget.reserve_for(100)
    assert sum(budget.withdraw(0.0) for _ in range(600)) == 300


def test_streams_that_die_over_and_over_are_not_paid_for_without_end():
    budget = Budget(0.0, share=0.0, reserve=0.0)
    for _ in range(100):
        budget.reserve_for(4096)
    assert sum(budget.withdraw(0.0) for _ in range(100_000)) == MOST_LOST


def test_what_came_to_a_good_end_is_given_back():
    budget = Budget(0.0, share=0.0, reserve=1.0)
    for _ in range(100):
        assert budget.withdraw(0.0)
        budget.refund()
    assert [budget.withdraw(0.0) for _ in range(2)] == [True, False]


@pytest.mark.parametrize(("most", "attempts"), [(0, 1), (1, 2), (2, 3)])
async def test_a_route_says_how_many_attempts_come_after_the_first(most, attempts):
    service = Scripted(*[Kind.UNAVAILABLE] * 10)
    with pytest.raises(PenstockError):
        await retry()(routed(route(retries={"max": most})), service)
    assert len(service.asked) == attempts


async def test_an_implicit_route_is_as_none():
    budgets = Budgets(Budget(0.0), lambda: 0.0)
    assert budgets.of(routed(None)) is budgets.shared
    assert budgets.of(routed(route(implicit=True))) is budgets.shared


def test_each_route_has_a_budget_of_its_own_with_its_share():
    budgets = Budgets(Budget(0.0), lambda: 0.0)
    generous = budgets.of(routed(route("a", retries={"budget": "50%"})))
    frugal = budgets.of(routed(route("b", retries={"budget": "25%"})))
    assert generous is not frugal
    for budget in (generous, frugal):
        for _ in range(100):
            budget.deposit(0.0)
    assert sum(generous.withdraw(0.0) for _ in range(200)) == RESERVE + 50
    assert sum(frugal.withdraw(0.0) for _ in range(200)) == RESERVE + 25


def test_a_routes_budget_outlives_a_reload_that_leaves_its_share():
    budgets = Budgets(Budget(0.0), lambda: 0.0)
    assert budgets.of(routed(route())) is budgets.of(routed(route()))
    changed = route(retries={"budget": "20%"})
    assert budgets.of(routed(changed)).share == 0.2


def test_a_route_that_spent_its_reserve_gets_no_other_however_many_routes_there_are():
    budgets = Budgets(Budget(0.0), lambda: 0.0)
    spent = budgets.of(routed(route("spent")))
    while spent.withdraw(0.0):
        pass
    for n in range(2 * MOST_ROUTES):
        budgets.of(routed(route(f"r{n}")))
    assert budgets.of(routed(route("spent"))) is spent
    assert len(budgets._routes) == MOST_ROUTES


def test_budgets_are_kept_beyond_any_number_while_all_are_spent():
    budgets = Budgets(Budget(0.0), lambda: 0.0)
    routes = [routed(route(f"r{n}")) for n in range(MOST_ROUTES + 2)]
    for each in routes:
        while budgets.of(each).withdraw(0.0):
            pass
    assert not any(budgets.of(each).withdraw(0.0) for each in routes)


def test_with_many_routes_those_used_last_keep_what_they_have_saved():
    budgets = Budgets(Budget(0.0), lambda: 0.0)
    busy = routed(route("busy"))
    saved = budgets.of(busy)
    for n in range(2 * MOST_ROUTES):
        budgets.of(routed(route(f"r{n}")))
        assert budgets.of(busy) is saved


@pytest.mark.parametrize("kind", [Kind.BAD_REPLY, Kind.INTERRUPTED, Kind.LOST])
async def test_a_budget_of_nothing_repeats_nothing(kind):
    shared = Budget(0.0)
    shared.reserve_for(40)
    service = Scripted(kind)
    with pytest.raises(PenstockError):
        await retry(shared)(routed(route(retries={"budget": "0%"})), service)
    assert len(service.asked) == 1


async def test_a_budget_of_nothing_lets_calls_that_no_batch_held_go_elsewhere():
    service = Scripted(Kind.UNAVAILABLE)
    assert await retry()(routed(route(retries={"budget": "0%"})), service) is OK


async def test_a_dead_streams_calls_are_repeated_though_their_routes_budget_is_spent():
    shared = Budget(0.0, share=0.0, reserve=0.0)
    shared.reserve_for(40)
    filter_ = retry(shared)
    by = route()
    while filter_._budgets.of(routed(by)).withdraw(0.0):
        pass
    for _ in range(40):
        assert await filter_(routed(by), Scripted(Kind.LOST)) is OK
    with pytest.raises(PenstockError):
        await filter_(routed(by), Scripted(Kind.LOST))


async def test_an_attempt_that_finds_nobody_to_ask_costs_nothing():
    """A fallback pays for its own: a dead stream's calls must fit once, and not twice."""

    async def left_alone(request):
        if not request.context.timeline.instances:
            request.context.timeline.instances.append("dead")
            raise PenstockError(Kind.LOST, "the stream ended")
        raise PenstockError(Kind.UNAVAILABLE, "nobody is there")

    shared = Budget(0.0, share=0.0, reserve=0.0)
    shared.reserve_for(40)
    filter_ = retry(shared, elsewhere=False)
    for _ in range(40):
        with pytest.raises(PenstockError, match="nobody is there"):
            await filter_(routed(route()), left_alone)
    assert sum(shared.withdraw(0.0) for _ in range(100)) == 40


async def test_one_backend_that_refuses_may_send_any_number_of_calls_elsewhere():
    filter_ = retry(Budget(0.0, share=0.0, reserve=0.0))
    for _ in range(2000):
        assert await filter_(request(), Scripted(Kind.UNAVAILABLE)) is OK


@pytest.mark.parametrize("kind", [Kind.UNAVAILABLE, Kind.OVERLOADED, Kind.BAD_REPLY])
async def test_when_everything_fails_few_requests_are_asked_twice(kind):
    filter_ = retry()
    requests, attempts = 5000, 0
    for _ in range(requests):
        service = Scripted(*[kind] * 10)
        with pytest.raises(PenstockError):
            await filter_(request(), service)
        attempts += len(service.asked)
    assert attempts <= 1.2 * requests + 60


async def test_both_attempts_of_a_hedge_count():
    """Who was asked is in the timeline, so the filters below may make attempts of their own."""

    async def hedging(request):
        request.context.timeline.instances.extend(["a", "b"])
        raise PenstockError(Kind.UNAVAILABLE, "both failed")

    asked = routed(route(retries={"max": 1}))
    with pytest.raises(PenstockError):
        await retry()(asked, hedging)
    assert asked.context.timeline.instances == ["a", "b"]
