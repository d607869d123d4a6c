"""Single flight: one execution for all who ask the same at a time, and what each is owed."""

import asyncio
import random

import pytest

from protos.errors import Kind, PenstockError
from tests.policies.cache.kept import (
    Cache,
    Model,
    Stream,
    heard,
    request,
    route,
    said,
    turns,
)


def ask(cache, model, *values, **how):
    return asyncio.ensure_future(cache(request(*values, **how), model))


class Counts(Model):
    """A model that tells the tokens of each answer, as the exchange does."""

    async def __call__(self, asked):
        timeline = asked.context.timeline
        timeline.began = 5.0
        timeline.used.prompt_tokens = 4
        reply = await super().__call__(asked)
        timeline.answered = 6.0
        timeline.used.completion_tokens = 400
        return reply


def charges(asked):
    """Of requests: how each counts, and the tokens that it answers for."""
    return [
        (each.cache, bool(each.began), each.used.prompt_tokens, each.used.completion_tokens)
        for each in (one.context.timeline for one in asked)
    ]


async def test_a_thousand_equal_requests_are_one_execution():
    cache, model = Cache(), Model()
    model.hold()
    asked = [request(7) for _ in range(1000)]
    tasks = [asyncio.ensure_future(cache(each, model)) for each in asked]
    await turns()
    assert cache.filter.in_flight == 1
    model.gate.set()
    assert [said(reply) for reply in await asyncio.gather(*tasks)] == [[8]] * 1000
    assert len(model.asked) == 1
    assert cache.outcomes() == {"miss": 1, "coalesced": 999}
    assert cache.filter.in_flight == 0
    assert model.closed == 1


async def test_two_tenants_with_equal_bodies_are_two_executions():
    cache, model = Cache(), Model()
    model.hold()
    tasks = [ask(cache, model, tenant=tenant) for tenant in ("a", "b") * 10]
    await turns()
    model.gate.set()
    await asyncio.gather(*tasks)
    assert sorted(each.context.principal.tenant for each in model.asked) == ["a", "b"]


async def test_without_coalescing_each_is_executed():
    cache, model = Cache(), Model()
    model.hold()
    tasks = [ask(cache, model, by=route(coalesce=False)) for _ in range(3)]
    await turns()
    model.gate.set()
    await asyncio.gather(*tasks)
    assert len(model.asked) == 3


async def test_whoever_asked_first_may_go_without_failing_those_who_wait():
    cache, model = Cache(), Model()
    model.hold()
    first, *others = [ask(cache, model) for _ in range(3)]
    await turns()
    first.cancel()
    await turns()
    assert not model.cancelled
    model.gate.set()
    assert [said(reply) for reply in await asyncio.gather(*others)] == [[2], [2]]
    assert len(model.asked) == 1


async def test_one_request_answers_for_what_all_have_used():
    cache, model = Cache(), Counts()
    model.hold()
    asked = [request() for _ in range(3)]
    tasks = [asyncio.ensure_future(cache(each, model)) for each in asked]
    await turns()
    model.gate.set()
    await asyncio.gather(*tasks)
    assert charges(asked) == [("miss", True, 4, 400), *[("coalesced", False, 0, 0)] * 2]


async def test_whoever_goes_leaves_what_is_used_to_one_who_stays():
    cache, model = Cache(), Counts()
    model.hold()
    asked = [request() for _ in range(3)]
    tasks = [asyncio.ensure_future(cache(each, model)) for each in asked]
    await turns()
    tasks[0].cancel()
    await turns()
    assert charges(asked)[:2] == [("coalesced", False, 0, 0), ("miss", True, 4, 0)]
    model.gate.set()
    await asyncio.gather(*tasks[1:])
    assert charges(asked) == [
        ("coalesced", False, 0, 0),
        ("miss", True, 4, 400),
        ("coalesced", False, 0, 0),
    ]
    assert cache.outcomes() == {"miss": 1, "coalesced": 2}


async def test_the_last_one_to_go_answers_for_what_was_used_until_then():
    cache, model = Cache(), Counts()
    model.hold()
    asked = [request() for _ in range(2)]
    for task in [asyncio.ensure_future(cache(each, model)) for each in asked]:
        await turns()
        task.cancel()
    await turns()
    assert charges(asked) == [("coalesced", False, 0, 0), ("miss", True, 4, 0)]


async def test_the_work_is_cancelled_when_the_last_one_has_gone():
    cache, model = Cache(), Model()
    model.hold()
    tasks = [ask(cache, model) for _ in range(3)]
    await turns()
    for task in tasks:
        task.cancel()
    await turns()
    assert model.cancelled == 1
    assert cache.filter.in_flight == 0
    model.gate.set()
    assert said(await cache(request(), model)) == [2]


async def test_whoever_goes_before_the_work_has_begun_leaves_nothing_behind():
    cache, model = Cache(), Model()
    model.hold()
    task = ask(cache, model)
    await asyncio.sleep(0)
    assert not model.asked
    task.cancel()
    await turns()
    assert len(model.asked) == model.cancelled
    assert cache.filter.in_flight == 0


async def test_a_failure_is_everybodys_and_is_not_kept():
    cache, model = Cache(), Model()
    model.hold()
    model.fails = PenstockError(
        Kind.OVERLOADED, "full", retry_after=2.0, param="max_tokens", code="too_many"
    )
    tasks = [ask(cache, model) for _ in range(3)]
    await turns()
    model.gate.set()
    failures = await asyncio.gather(*tasks, return_exceptions=True)
    assert {(f.kind, f.message, f.retry_after, f.param, f.code) for f in failures} == {
        (Kind.OVERLOADED, "full", 2.0, "max_tokens", "too_many")
    }
    assert len({id(failure) for failure in failures}) == 3
    model.fails = None
    assert said(await cache(request(), model)) == [2]
    assert len(model.asked) == 2


@pytest.mark.parametrize("seed", range(12))
async def test_nothing_is_lost_or_mixed_up_whoever_goes_when(seed):
    """Random arrivals, cancellations, failures, tenants and streams: each gets its own or an error.

    In the end nothing is under way, all replies are closed, and what is kept is right.
    """
    rng = random.Random(seed)
    cache = Cache(most=4096)

    class Moody(Stream):
        async def __call__(self, asked):
            self.asked.append(asked)
            for _ in range(rng.randrange(5)):
                await asyncio.sleep(0)
            if rng.random() < 0.2:
                raise PenstockError(Kind.LOST, "lost")
            return self.reply(asked)

        def reply(self, asked):
            self.opened = getattr(self, "opened", 0) + 1
            return super().reply(asked)

    model = Moody()
    ended = []

    async def client(tenant, value, streaming):
        values = tuple((hash_of(tenant) + value + i) % 256 for i in range(4 if streaming else 1))
        try:
            asked = request(*values, tenant=tenant, streaming=streaming)
            ended.append((await heard(await cache(asked, model)), [[v] for v in values]))
        except PenstockError as error:
            ended.append(None if error.kind is Kind.LOST else error)

    clients = []
    for _ in range(300):
        clients.append(
            asyncio.ensure_future(client(rng.choice("abc"), rng.randrange(3), rng.random() < 0.5))
        )
        if rng.random() < 0.4:
            rng.choice(clients).cancel()
        if rng.random() < 0.5:
            await asyncio.sleep(0)
        if rng.random() < 0.05:
            cache.now += 61.0
    await asyncio.wait(clients)
    await turns()
    answered = [each for each in ended if each is not None]
    assert all(heard == expected for heard, expected in answered)
    assert len(answered) > 30
    assert cache.filter.in_flight == 0
    assert model.closed == model.opened
    assert len(model.asked) < 300


def hash_of(tenant):
    return ord(tenant) * 16
