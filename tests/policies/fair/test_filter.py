"""The filter on an event loop: places are given back on every ending, and who waits is woken."""

import asyncio
import random
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.fair.filter import Fair
from policies.fair.settings import Fairness
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.service import Reply
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Part, Tensor, Tensors

PART = Part(Tensors(()), "1", {}, True, queue_us=0, compute_us=1000, batch_rows=1)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Timers:
    """Timers that are due when a test says so."""

    def __init__(self):
        self.due = []

    def call_at(self, when, callback):
        handle = asyncio.get_running_loop().call_later(3600.0, callback)
        self.due.append((when, callback, handle))
        return handle

    def fire(self, now):
        for when, callback, handle in self.due:
            if when <= now and not handle.cancelled():
                handle.cancel()
                callback()


class Backend:
    """Answers when it is told to, in the order of arrival."""

    def __init__(self):
        self.calls = []

    async def __call__(self, request):
        answer = asyncio.get_running_loop().create_future()
        self.calls.append((request, answer))
        try:
            return await answer
        finally:
            self.calls = [(r, a) for r, a in self.calls if a is not answer]

    @property
    def tenants(self):
        return [request.context.principal.tenant for request, _ in self.calls]

    def answer(self, reply=None, error=None, which=0):
        _, answer = self.calls[which]
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(reply or Reply(PART))


def request(tenant="acme", *, deadline=inf, priority=0, model="m", size=4):
    principal = Principal("s", tenant, frozenset())
    context = Context(principal, deadline, Timeline(0.0), priority=priority)
    tensors = Tensors((Tensor("x", "FP32", (1, size // 4), bytes(size)),))
    return InferRequest("1", model, "1", tensors, {}, context)


class Setting:
    """A filter over a backend, with so many places."""

    def __init__(self, places=2, **written):
        self.clock, self.timers, self.backend = Clock(), Timers(), Backend()
        given_ = Fairness.model_validate(written)
        self.fair = Fair(given_, 1.0, self.clock, self.timers.call_at)
        self.places = places
        self.model = self.fair._learn(request())
        self.model.bound.value = places

    def ask(self, *args, **kwargs):
        given_ = args[0] if args and isinstance(args[0], InferRequest) else None
        asked = given_ or request(*args, **kwargs)
        return asyncio.ensure_future(self.fair(asked, self.backend))

    async def settle(self):
        for _ in range(8):
            await asyncio.sleep(0)

    @property
    def in_flight(self):
        return self.model.in_flight


async def test_with_places_free_nothing_waits():
    at = Setting(places=2)
    one, two = at.ask(), at.ask()
    await at.settle()
    assert len(at.backend.calls) == 2
    assert at.fair.counts.queued.total() == 0
    at.backend.answer(which=1)
    at.backend.answer(which=0)
    assert await one == await two == Reply(PART)
    assert at.in_flight == 0


async def test_what_waits_goes_on_when_a_place_is_free():
    at = Setting(places=1)
    asked = [at.ask() for _ in range(3)]
    await at.settle()
    assert len(at.backend.calls) == 1
    assert at.fair.waiting() == {"m": 2}
    for each in asked:
        at.backend.answer()
        await each
        await at.settle()
    assert at.in_flight == 0
    assert at.fair.counts.queued == {"m": 2}


async def test_what_is_asked_for_a_request_that_has_a_place_waits_for_none():
    at = Setting(places=1)
    judged, waiting = at.ask(), at.ask()
    await at.settle()
    asked = request()
    judgement = at.ask(replace(asked, context=replace(asked.context, inner=True)))
    await at.settle()
    assert at.backend.calls[1][0].context.inner
    at.backend.answer(which=1)
    assert await judgement == Reply(PART)
    assert not waiting.done()
    for each in (judged, waiting):
        at.backend.answer()
        await each
        await at.settle()
    assert at.in_flight == 0


async def test_tenants_take_turns():
    at = Setting(places=1)
    for _ in range(6):
        at.ask("noisy")
    await at.settle()
    # They pass as long as they are below their shares, so they must be above them to wait.
    for tenant in ("a", "b"):
        at.model.queue.charge(at.model.flow(tenant), 0.06)
        at.ask(tenant)
    await at.settle()
    order = []
    while at.backend.calls:
        order.append(at.backend.tenants[0])
        at.backend.answer()
        await at.settle()
    assert len(order) == 8
    assert at.in_flight == 0


async def test_a_quiet_tenant_does_not_wait_for_a_noisy_one():
    at = Setting(places=2)
    for _ in range(10):
        at.ask("noisy")
    at.ask("quiet")
    await at.settle()
    assert at.backend.tenants == ["noisy", "noisy", "quiet"]


async def test_urgent_requests_of_a_tenant_go_before_its_others():
    at = Setting(places=1)
    for priority in (0, 5, 0, 1):
        at.ask(priority=priority)
    await at.settle()
    order = []
    while at.backend.calls:
        order.append(at.backend.calls[0][0].context.priority)
        at.backend.answer()
        await at.settle()
    assert order == [0, 1, 0, 5]


@pytest.mark.parametrize("waits", [False, True], ids=["at the backend", "in the queue"])
async def test_a_client_that_goes_away_takes_its_request_along(waits):
    at = Setting(places=1)
    first = at.ask()
    second = at.ask()
    await at.settle()
    gone = second if waits else first
    gone.cancel()
    await at.settle()
    assert gone.cancelled()
    assert len(at.backend.calls) == 1
    assert at.fair.waiting().total() == 0
    at.backend.answer()
    await at.settle()
    assert at.in_flight == 0


async def test_a_client_that_goes_away_as_its_turn_comes_loses_no_place():
    at = Setting(places=1)
    first, second, third = at.ask(), at.ask(), at.ask()
    await at.settle()
    at.backend.answer()
    await first  # the second's turn has come, and it hasn't run since
    second.cancel()
    await at.settle()
    assert second.cancelled()
    assert len(at.backend.calls) == 1
    at.backend.answer()
    await third
    assert at.in_flight == 0


async def test_a_turn_is_not_given_to_who_has_just_gone():
    at = Setting(places=1)
    first, second, third = at.ask(), at.ask(), at.ask()
    await at.settle()
    second.cancel()
    first.cancel()  # both before anything else runs
    await at.settle()
    assert len(at.backend.calls) == 1
    at.backend.answer()
    await third
    assert at.in_flight == 0


async def test_failures_give_the_place_back():
    at = Setting(places=1)
    first, second = at.ask(), at.ask()
    await at.settle()
    at.backend.answer(error=PenstockError(Kind.LOST, "lost"))
    with pytest.raises(PenstockError):
        await first
    await at.settle()
    at.backend.answer()
    await second
    assert at.in_flight == 0


async def test_a_stream_counts_until_it_is_closed():
    at = Setting(places=1)
    closed = []

    async def rest():
        yield PART

    first, second = at.ask(), at.ask()
    await at.settle()
    at.backend.answer(Reply(PART, rest(), lambda: closed.append(True)))
    reply = await first
    await at.settle()
    assert at.fair.waiting() == {"m": 1}
    reply.on_close()
    await at.settle()
    assert closed == [True]
    assert at.fair.waiting() == {"m": 0}
    at.backend.answer()
    await second
    assert at.in_flight == 0


async def test_a_deadline_that_passes_in_the_queue_ends_the_wait():
    at = Setting(places=1)
    first, late = at.ask(), at.ask(deadline=101.0)
    await at.settle()
    at.clock.now = 101.5
    at.timers.fire(at.clock.now)
    with pytest.raises(PenstockError) as caught:
        await late
    assert caught.value.retry_after is not None
    assert at.fair.counts.refused == {("m", "other", "deadline"): 1}
    at.backend.answer()
    await first
    assert at.in_flight == 0


async def test_overflow_refuses_the_tenant_that_overflows():
    at = Setting(places=1, queue={"perTenant": 3, "total": 4, "bytes": "4KiB"})
    noisy = [at.ask("noisy") for _ in range(6)]
    await at.settle()
    refused = [each for each in noisy if each.done()]
    assert len(refused) == 2
    assert all(each.exception().kind is Kind.RATE_LIMITED for each in refused)
    at.model.queue.charge(at.model.flow("quiet"), 1.0)
    for _ in range(3):  # the first passes, and the others wait
        at.ask("quiet")
    await at.settle()
    assert [each.done() for each in noisy].count(True) == 3  # one gave its place in the queue
    assert at.fair.waiting() == {"m": 4}
    assert {key[2] for key in at.fair.counts.refused} == {"queue", "total"}
    told = request("noisy")
    with pytest.raises(PenstockError):
        await at.fair(told, at.backend)
    assert told.context.timeline.refused == "fair"


async def test_observing_counts_and_holds_nothing_back():
    at = Setting(places=1, mode="observe")
    for _ in range(5):
        at.ask()
    await at.settle()
    assert len(at.backend.calls) == 5
    assert at.fair.counts.queued == {"m": 4}
    while at.backend.calls:
        at.backend.answer()
        await at.settle()
    assert at.in_flight == 0


async def test_models_do_not_wait_for_each_other():
    at = Setting(places=1)
    at.ask()
    at.ask()
    at.ask(model="other")
    await at.settle()
    assert [each.model for each, _ in at.backend.calls] == ["m", "other"]
    assert at.fair.bounds()["m"] == 1


async def test_models_that_are_gone_are_forgotten():
    at = Setting(places=1)
    at.ask()
    await at.settle()
    for number in range(3000):
        at.fair._learn(request(model=str(number)))
    assert len(at.fair._models) <= 1024
    assert ("m", "1") in at.fair._models


ACTION = st.sampled_from(["ask", "ask", "answer", "fail", "stream", "cancel", "late"])


@given(actions=st.lists(ACTION, max_size=60), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_no_ending_leaks_a_place(actions, seed):
    async def run():
        at, rng, asked = Setting(places=2), random.Random(seed), []

        async def rest():
            yield PART

        for action in actions:
            at.clock.now += 0.05
            if action == "ask":
                deadline = at.clock.now + rng.choice([0.2, inf])
                asked.append(at.ask(str(rng.randrange(3)), deadline=deadline))
            elif action == "cancel" and asked:
                rng.choice(asked).cancel()
            elif action == "late":
                at.timers.fire(at.clock.now)
            elif at.backend.calls:
                which = rng.randrange(len(at.backend.calls))
                if at.backend.calls[which][1].done():
                    continue
                if action == "answer":
                    at.backend.answer(which=which)
                elif action == "fail":
                    at.backend.answer(error=PenstockError(Kind.LOST, "lost"), which=which)
                else:
                    at.backend.answer(Reply(PART, rest()), which=which)
            if rng.random() < 0.5:
                await at.settle()
        await at.settle()
        while asked or at.backend.calls:
            if at.backend.calls:
                at.backend.answer()
                await at.settle()
            for each in [each for each in asked if each.done()]:
                asked.remove(each)
                if not each.cancelled() and each.exception() is None:
                    each.result().on_close()
            await at.settle()
        assert at.in_flight == 0
        assert at.fair.waiting().total() == 0
        assert not at.fair._turns
        assert all(not flow.under_way for flow in at.model.queue.flows.values())

    asyncio.run(run())
