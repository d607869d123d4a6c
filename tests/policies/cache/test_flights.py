"""Which execution a request may join, and how all of them end when the gateway stops."""

import asyncio

import pytest

from protos.errors import Kind, PenstockError
from tests.policies.cache.kept import Cache, Model, Stream, heard, request, turns


def ask(cache, model, **how):
    return asyncio.ensure_future(cache(request(**how), model))


def now():
    return asyncio.get_running_loop().time()


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


@pytest.mark.parametrize("begun", [True, False])
async def test_a_stopping_gateway_interrupts_whoever_waits(begun):
    cache, model = Cache(), Model()
    model.hold()
    task = asyncio.ensure_future(cache(request(), model))
    if begun:
        await turns()
    else:
        await asyncio.sleep(0)
    assert len(model.asked) == begun
    await cache.filter.close()
    with pytest.raises(PenstockError) as stopped:
        await task
    assert stopped.value.kind is Kind.INTERRUPTED
    assert model.cancelled == begun
    assert cache.filter.in_flight == 0


async def test_a_stream_that_none_may_join_any_more_is_interrupted_too():
    cache, model = Cache(most=1024), Stream()  # four parts with their overhead
    reply = await cache(request(*range(40), streaming=True), model)
    await turns(100)
    assert cache.filter.in_flight == 0
    await cache.filter.close()
    assert model.closed == 1
    with pytest.raises(PenstockError) as stopped:
        await heard(reply)
    assert stopped.value.kind is Kind.INTERRUPTED


async def test_the_work_has_let_go_when_closing_is_over():
    class Tidies(Model):
        async def __call__(self, asked):
            try:
                return await super().__call__(asked)
            finally:
                await asyncio.sleep(0.01)
                self.closed += 1

    cache, model = Cache(), Tidies()
    model.hold()
    task = asyncio.ensure_future(cache(request(), model))
    await turns()
    await cache.filter.close()
    assert model.closed == 1
    with pytest.raises(PenstockError):
        await task
