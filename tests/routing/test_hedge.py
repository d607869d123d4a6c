"""Hedging: a second attempt when the first is slower than usual, paid for, and one answer."""

import asyncio
import time

import pytest

from protos.errors import Kind, PenstockError
from protos.service import Reply
from routing.hedge import Hedge
from routing.latency import ENOUGH
from routing.poison import Poison
from routing.retry import Budget, Budgets, Retry
from tests.routing.routed import OK, route, routed
from tests.routing.scripted_backend import ScriptedBackend, connected

HEDGED = route(retries={"hedgeAfter": "p95"})
PLAIN = route("plain")
USUAL = 0.002  # seconds


class Endpoints:
    """Stands for picking: an answer or a failure for each attempt in turn, after its time."""

    def __init__(self, *script):
        self.script = list(script)  # (seconds, reply or kind)
        self.cancelled = []
        self.asked = []

    async def __call__(self, request):
        number = len(self.asked)
        self.asked.append(request)
        request.context.timeline.instances.append(f"e{number}")
        seconds, outcome = self.script[number]
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        request.context.timeline.queue_us += number + 1
        request.context.timeline.used.completion_tokens = number + 1
        if isinstance(outcome, Kind):
            raise PenstockError(outcome, "scripted")
        return outcome


class Hedging:
    """The filter with its surroundings; `learn` makes answers within `USUAL` usual."""

    def __init__(self, budget=None, idempotent=True, elsewhere=True):
        self.poison = Poison()
        self.budgets = Budgets(budget or Budget(0.0), time.monotonic)
        surroundings = (lambda _: idempotent, lambda _: elsewhere, time.monotonic)
        self.filter = Hedge(self.budgets, *surroundings)
        self.retry = Retry(self.budgets, self.poison, *surroundings)

    async def learn(self, by=HEDGED, number=ENOUGH):
        recent = self.filter._recent_of(routed(by), by)
        for _ in range(number):
            recent.add(USUAL, time.monotonic())

    async def ask(self, endpoints, by=HEDGED, **how):
        return await self.filter(routed(by, **how), endpoints)


@pytest.fixture
async def hedging():
    hedging = Hedging()
    await hedging.learn()
    return hedging


async def test_a_slow_first_attempt_gets_a_second_and_the_first_answer_counts(hedging):
    endpoints = Endpoints((5.0, OK), (0.0, OK))
    assert await hedging.ask(endpoints) is OK
    await asyncio.sleep(0)
    assert endpoints.cancelled == [0]
    assert (hedging.filter.hedges, hedging.filter.wins) == (1, 1)


async def test_a_quick_first_attempt_stays_the_only_one(hedging):
    endpoints = Endpoints((0.0, OK))
    assert await hedging.ask(endpoints) is OK
    assert hedging.filter.hedges == 0


async def test_the_first_attempt_may_still_win(hedging):
    endpoints = Endpoints((0.02, OK), (5.0, OK))
    assert await hedging.ask(endpoints) is OK
    await asyncio.sleep(0)
    assert endpoints.cancelled == [1]
    assert (hedging.filter.hedges, hedging.filter.wins) == (1, 0)


@pytest.mark.parametrize(
    ("first", "second", "instances", "queue_us"),
    [(5.0, 0.0, ["e0", "e1"], 2), (0.02, 5.0, ["e1", "e0"], 1)],
)
async def test_the_timeline_names_all_who_were_asked_the_answering_one_last(
    hedging, first, second, instances, queue_us
):
    request = routed(HEDGED)
    await hedging.filter(request, Endpoints((first, OK), (second, OK)))
    timeline = request.context.timeline
    assert (timeline.instances, timeline.queue_us) == (instances, queue_us)
    assert timeline.used.completion_tokens == queue_us  # what the others used is nobody's


async def test_both_may_answer_in_one_turn_and_only_what_the_winner_used_is_counted(hedging):
    together = asyncio.Event()

    async def both(request):
        timeline = request.context.timeline
        timeline.instances.append("e")
        if len(timeline.instances) == 2:
            together.set()
        await together.wait()
        timeline.used.completion_tokens += 7
        timeline.used.device_seconds += 1.0
        timeline.mark("answered", 1.0)
        return OK

    request = routed(HEDGED)
    await hedging.filter(request, both)
    timeline = request.context.timeline
    assert (timeline.used.completion_tokens, timeline.used.device_seconds) == (7, 1.0)
    assert timeline.marks.count(("answered", 1.0)) == 1


async def test_while_little_is_known_nothing_is_hedged():
    hedging = Hedging()
    await hedging.learn(number=ENOUGH - 1)
    assert await hedging.ask(Endpoints((0.05, OK))) is OK


@pytest.mark.parametrize(
    ("surroundings", "request_is"),
    [
        ({"idempotent": False}, {}),
        ({"elsewhere": False}, {}),
        ({}, {"shadow": True}),
        ({}, {"suspect": True}),
        ({}, {"tried": ["a"]}),
        ({}, {"by": PLAIN}),
        ({}, {"by": route("once", retries={"max": 0, "hedgeAfter": "p95"})}),
        ({}, {"by": route("dear", retries={"budget": "0%", "hedgeAfter": "p95"})}),
    ],
    ids=str,
)
async def test_what_must_not_be_asked_twice_is_not(surroundings, request_is):
    hedging = Hedging(**surroundings)
    await hedging.learn(request_is.get("by", HEDGED))
    assert await hedging.ask(Endpoints((0.05, OK)), **request_is) is OK
    assert hedging.filter.hedges == 0


async def test_requests_of_routes_without_hedging_pay_neither_task_nor_coroutine(hedging):
    answer = object()
    assert hedging.filter(routed(PLAIN), lambda request: answer) is answer
    assert hedging.filter(routed(None), lambda request: answer) is answer


async def test_hedges_are_paid_from_the_routes_budget_for_retries(hedging):
    budget = hedging.budgets.of(routed(HEDGED))
    while budget.withdraw(time.monotonic()):
        pass
    assert await hedging.ask(Endpoints((0.05, OK))) is OK
    assert hedging.filter.hedges == 0


async def test_if_one_fails_the_other_is_awaited(hedging):
    endpoints = Endpoints((0.02, Kind.INTERNAL), (0.04, OK))
    assert await hedging.ask(endpoints) is OK
    endpoints = Endpoints((0.04, OK), (0.0, Kind.UNAVAILABLE))
    assert await hedging.ask(endpoints) is OK


async def test_a_failure_before_the_second_attempt_is_for_retries_to_handle(hedging):
    endpoints = Endpoints((0.0, Kind.UNAVAILABLE))
    with pytest.raises(PenstockError) as caught:
        await hedging.ask(endpoints)
    assert caught.value.kind is Kind.UNAVAILABLE
    assert len(endpoints.asked) == 1


async def test_if_both_fail_a_lost_one_is_what_retries_must_know(hedging):
    endpoints = Endpoints((0.02, Kind.INTERNAL), (0.0, Kind.LOST))
    with pytest.raises(PenstockError) as caught:
        await hedging.ask(endpoints)
    assert caught.value.kind is Kind.LOST


def hedged_and_retried(hedging, endpoints, request):
    return hedging.retry(request, lambda again: hedging.filter(again, endpoints))


@pytest.mark.parametrize(
    "script",
    [[(0.02, Kind.LOST), (5.0, OK)], [(5.0, OK), (0.0, Kind.LOST)]],
    ids=["the first", "the second"],
)
async def test_when_one_is_lost_the_other_is_called_back_and_the_request_runs_alone(
    hedging, script
):
    endpoints = Endpoints(*script, (0.0, OK))
    assert await hedged_and_retried(hedging, endpoints, routed(HEDGED)) is OK
    assert [asked.context.suspect for asked in endpoints.asked] == [False, False, True]
    assert len(endpoints.cancelled) == 1


async def test_an_answer_that_came_with_the_loss_counts(hedging):
    together = asyncio.Event()

    async def both(request):
        request.context.timeline.instances.append("e")
        number = len(request.context.timeline.instances)
        if number == 2:
            together.set()
        await together.wait()
        if number == 1:
            raise PenstockError(Kind.LOST, "scripted")
        return OK

    assert await hedging.filter(routed(HEDGED), both) is OK


async def test_without_a_third_attempt_the_other_is_awaited():
    once_more = route("once more", retries={"max": 1, "hedgeAfter": "p95"})
    hedging = Hedging()
    await hedging.learn(once_more)
    endpoints = Endpoints((0.02, Kind.LOST), (0.04, OK))
    assert await hedged_and_retried(hedging, endpoints, routed(once_more)) is OK
    assert endpoints.cancelled == []


async def test_an_innocent_request_at_two_deaths_is_answered_and_not_refused_afterwards(hedging):
    """The poison was in its batch both times: only who is lost alone is known to be one."""
    endpoints = Endpoints((0.02, Kind.LOST), (0.02, Kind.LOST), (0.0, OK))
    assert await hedged_and_retried(hedging, endpoints, routed(HEDGED)) is OK
    assert not hedging.poison.holds(routed(HEDGED), time.monotonic())


async def test_an_input_that_kills_its_backends_takes_three_of_them_at_most(hedging):
    endpoints = Endpoints((0.02, Kind.LOST), (0.02, Kind.LOST), (0.0, Kind.LOST))
    for _ in range(2):
        with pytest.raises(PenstockError, match="crash"):
            await hedged_and_retried(hedging, endpoints, routed(HEDGED))
    assert len(endpoints.asked) == 3


async def test_a_hedge_counts_among_the_three_attempts(hedging):
    endpoints = Endpoints(
        (0.02, Kind.UNAVAILABLE), (0.0, Kind.UNAVAILABLE), (0.0, Kind.UNAVAILABLE)
    )
    with pytest.raises(PenstockError):
        await hedged_and_retried(hedging, endpoints, routed(HEDGED))
    assert len(endpoints.asked) == 3


async def test_a_caller_who_goes_away_cancels_both(hedging):
    endpoints = Endpoints((5.0, OK), (5.0, OK))
    asking = asyncio.ensure_future(hedging.ask(endpoints))
    async with asyncio.timeout(5):
        while len(endpoints.asked) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.sleep(0)
    assert sorted(endpoints.cancelled) == [0, 1]


async def test_a_reply_that_comes_although_it_lost_is_closed(hedging):
    closed = []
    both = asyncio.Event()

    async def together(request):
        request.context.timeline.instances.append("e")
        if len(request.context.timeline.instances) == 2:
            both.set()
        await both.wait()
        return Reply(OK.first, None, lambda: closed.append(request))

    request = routed(HEDGED)
    await hedging.filter(request, together)
    await asyncio.sleep(0.01)
    assert len(closed) == 1
    assert closed[0] is not request


async def test_hedging_keeps_the_usual_latency_where_it_is(hedging):
    """What lost counts as slow: otherwise the p95 would sink with every hedge that wins."""
    recent = hedging.filter._recent_of(routed(HEDGED), HEDGED)
    for _ in range(4):
        await hedging.ask(Endpoints((5.0, OK), (0.0, OK)))
    assert recent.quantile(0.95, time.monotonic() + 1) == pytest.approx(USUAL, rel=0.05)
    assert recent.quantile(0.999, time.monotonic() + 1) > USUAL


async def test_the_losers_cancellation_reaches_its_backend():
    hedging = Hedging()
    await hedging.learn()
    slow, quick = ScriptedBackend(), ScriptedBackend()
    await slow.start()
    await quick.start()

    async def answer(call):
        await quick.answer(call, call.inputs["x"])

    quick.on_call = answer
    async with connected(slow) as first, connected(quick) as second:

        async def pick(request):
            tried = request.context.timeline.instances
            tried.append("e")
            return await (first if len(tried) == 1 else second)(request)

        reply = await hedging.ask(pick)
        assert reply.first.final
        await slow.until(lambda: slow.cancels == list(slow.calls))
        assert first.in_flight == 0
    await slow.stop()
    await quick.stop()
