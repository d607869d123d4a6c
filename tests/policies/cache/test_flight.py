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
    part,
    request,
    route,
    said,
    turns,
)


def ask(cache, model, *values, **how):
    return asyncio.ensure_future(cache(request(*values, **how), model))


def now():
    return asyncio.get_running_loop().time()


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
    model.fails = PenstockError(Kind.OVERLOADED, "full", retry_after=2.0)
    tasks = [ask(cache, model) for _ in range(3)]
    await turns()
    model.gate.set()
    failures = await asyncio.gather(*tasks, return_exceptions=True)
    assert {(f.kind, f.message, f.retry_after) for f in failures} == {
        (Kind.OVERLOADED, "full", 2.0)
    }
    assert len({id(failure) for failure in failures}) == 3
    model.fails = None
    assert said(await cache(request(), model)) == [2]
    assert len(model.asked) == 2


async def test_each_keeps_its_own_deadline():
    cache, model = Cache(), Model()
    model.hold()
    patient = ask(cache, model)
    await turns()
    hasty = ask(cache, model, deadline=now() + 0.01)
    with pytest.raises(PenstockError) as late:
        await hasty
    assert late.value.kind is Kind.DEADLINE
    model.gate.set()
    assert said(await patient) == [2]
    assert len(model.asked) == 1


async def test_who_has_far_more_time_does_not_wait_for_one_who_has_little():
    cache, model = Cache(), Model()
    model.hold()
    hasty = ask(cache, model, deadline=now() + 5.0)
    await turns()
    patient = ask(cache, model, deadline=now() + 60.0)
    await turns()
    also_patient = ask(cache, model, deadline=now() + 60.0)
    await turns()
    assert len(model.asked) == 2
    model.gate.set()
    await asyncio.gather(hasty, patient, also_patient)


async def test_nobody_waits_behind_a_lower_priority():
    cache, model = Cache(), Model()
    model.hold()
    tasks = [ask(cache, model, priority=priority) for priority in (5, 5, 7, 1, 1, 2)]
    await turns()
    assert [each.context.priority for each in model.asked] == [5, 1]
    model.gate.set()
    await asyncio.gather(*tasks)


async def test_all_readers_of_a_stream_get_all_parts_whenever_they_come():
    cache, model = Cache(), Stream()
    first = await cache(request(1, 2, 3, 4, streaming=True), model)
    assert (await first.rest.__anext__()) == part(2, final=False)
    second = await cache(request(1, 2, 3, 4, streaming=True), model)
    assert await heard(second) == [[1], [2], [3], [4]]
    assert [each async for each in first.rest] == [part(3, final=False), part(4)]
    first.on_close()
    assert len(model.asked) == 1
    assert model.closed == 1


async def test_a_stream_goes_on_while_one_reader_is_left_and_ends_with_it():
    cache, model = Cache(), Stream()
    values = tuple(range(50))
    one = await cache(request(*values, streaming=True), model)
    other = await cache(request(*values, streaming=True), model)
    one.on_close()
    assert await heard(other) == [[value] for value in values]
    one = await cache(request(9, *values, streaming=True), model)
    other = await cache(request(9, *values, streaming=True), model)
    one.on_close()
    other.on_close()
    await turns()
    assert cache.filter.in_flight == 0
    assert model.closed == 2


async def test_a_stream_over_the_bound_goes_at_the_pace_of_its_slowest_reader():
    cache, model = Cache(most=1024), Stream()  # four parts with their overhead
    values = tuple(range(40))
    slow = await cache(request(*values, streaming=True), model)
    fast = await cache(request(*values, streaming=True), model)
    listening = asyncio.ensure_future(heard(fast))
    await turns(100)
    assert not listening.done()
    assert cache.filter.in_flight == 0  # too long already to be read from its beginning
    assert await heard(slow) == [[value] for value in values]
    assert await listening == [[value] for value in values]
    assert len(model.asked) == 1
    assert cache.counts.unkept == {("fraud", "size"): 1}


async def test_a_reader_who_does_not_read_is_left_behind_alone():
    cache, model = Cache(most=1024), Stream()
    by = route(more={"timeouts": {"idle": "10ms"}})
    values = tuple(range(40))
    stuck = await cache(request(*values, by=by, streaming=True), model)
    fast = await cache(request(*values, by=by, streaming=True), model)
    assert await heard(fast) == [[value] for value in values]
    with pytest.raises(PenstockError) as left:
        await heard(stuck)
    assert left.value.kind is Kind.SLOW_CLIENT
    assert model.closed == 1


async def test_a_stopping_gateway_interrupts_what_is_under_way():
    cache, model = Cache(), Model()
    model.hold()
    task = ask(cache, model)
    await turns()
    await cache.filter.close()
    with pytest.raises(PenstockError) as stopped:
        await task
    assert stopped.value.kind is Kind.INTERRUPTED
    assert model.cancelled == 1


@pytest.mark.parametrize("seed", range(20))
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
