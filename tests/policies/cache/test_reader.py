"""Each request that waits for another's execution keeps its deadline, its place and its pace."""

import asyncio

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

VALUES = tuple(range(40))


def ask(cache, model, *values, **how):
    return asyncio.ensure_future(cache(request(*values, **how), model))


def now():
    return asyncio.get_running_loop().time()


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


async def test_the_deadline_holds_while_a_slow_reader_is_waited_for():
    cache, model = Cache(most=1024), Stream()
    deadline = now() + 0.05
    by = route(more={"timeouts": {"idle": "10m"}})
    one, slow = [
        await cache(request(*VALUES, by=by, deadline=deadline, streaming=True), model)
        for _ in range(2)
    ]
    with pytest.raises(PenstockError) as late:
        await heard(one)
    assert late.value.kind is Kind.DEADLINE
    slow.on_close()
    assert model.closed == 1


async def test_a_reader_that_keeps_others_waiting_again_and_again_is_left_behind():
    cache, model = Cache(most=1024), Stream()
    by = route(more={"timeouts": {"idle": "100ms"}})
    slow, fast = [await cache(request(*VALUES, by=by, streaming=True), model) for _ in range(2)]
    listening = asyncio.ensure_future(heard(fast))

    async def dawdles():
        try:
            async for _ in slow.rest:
                await asyncio.sleep(0.03)  # never long enough to be idle
        finally:
            slow.on_close()

    with pytest.raises(PenstockError) as left:
        await dawdles()
    assert left.value.kind is Kind.SLOW_CLIENT
    assert await listening == [[value] for value in VALUES]


async def test_a_stream_left_midway_is_charged_to_whoever_reads_on():
    class Counted(Stream):
        async def rest(self, parts):
            async for each in super().rest(parts):
                self.asked[-1].context.timeline.used.completion_tokens += 1
                yield each

    cache, model = Cache(), Counted()
    first, second = request(*VALUES, streaming=True), request(*VALUES, streaming=True)
    left, read = await cache(first, model), await cache(second, model)
    await left.rest.__anext__()
    left.on_close()
    assert len(await heard(read)) == len(VALUES)
    tokens = [each.context.timeline.completion_tokens for each in (first, second)]
    assert tokens == [0, len(VALUES) - 1]


async def test_who_has_read_all_answers_for_it_though_others_read_on():
    cache, model = Cache(), Stream()
    first, second = request(1, 2, streaming=True), request(1, 2, streaming=True)
    done, reads = await cache(first, model), await cache(second, model)
    model.asked[0].context.timeline.used.completion_tokens = 2
    await heard(done)
    await heard(reads)
    tokens = [each.context.timeline.completion_tokens for each in (first, second)]
    assert tokens == [2, 0]
