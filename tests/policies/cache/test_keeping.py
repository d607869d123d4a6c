"""Only complete answers are kept, and none over the bound."""

import asyncio

import pytest

from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import Embedding
from tests.policies.cache.kept import (
    Cache,
    Model,
    Stream,
    heard,
    part,
    reply_of,
    request,
    route,
    said,
    turns,
)


async def test_an_answer_during_which_the_revision_changed_is_not_kept():
    cache, model = Cache(), Model()
    model.hold()
    waiting = asyncio.ensure_future(cache(request(), model))
    await turns()
    cache.revision = "new"
    model.gate.set()
    await waiting
    cache.revision = "rev"
    await cache(request(), model)
    assert len(model.asked) == 2
    assert cache.counts.unkept["fraud", "revision"] == 1


async def test_no_failure_is_kept():
    cache, model = Cache(), Model()
    model.fails = PenstockError(Kind.MODEL_FAILED, "no")
    for _ in range(2):
        with pytest.raises(PenstockError, match="no"):
            await cache(request(), model)
    model.fails = None
    assert said(await cache(request(1), model)) == [2]
    assert len(model.asked) == 3


async def test_an_answer_that_tells_a_failure_in_openais_form_is_not_kept():
    cache, model = Cache(), Model()
    model.reply = lambda asked: reply_of(Embedding({"error": {"message": "no"}}))
    for _ in range(2):
        await cache(request(payload=Embedding({"input": "x"})), model)
    assert len(model.asked) == 2
    assert cache.counts.unkept["fraud", "incomplete"] == 2


async def test_an_answer_over_the_bound_is_given_and_not_kept():
    cache, model = Cache(most=1000), Model()
    model.reply = lambda asked: Reply(part(*[7] * 900))
    for _ in range(2):
        assert said(await cache(request(), model)) == [7] * 900
    assert len(model.asked) == 2
    assert cache.counts.unkept["fraud", "size"] == 2


@pytest.mark.parametrize("coalesce", [True, False])
async def test_a_stream_that_is_left_before_its_end_is_not_kept(coalesce):
    cache, model = Cache(), Stream()
    by = route(coalesce=coalesce)
    reply = await cache(request(5, 6, 7, by=by, streaming=True), model)
    assert await reply.rest.__anext__() == part(6, final=False)
    reply.on_close()
    await turns()
    assert await heard(await cache(request(5, 6, 7, by=by, streaming=True), model)) == [
        [5],
        [6],
        [7],
    ]
    assert len(model.asked) == 2


@pytest.mark.parametrize("coalesce", [True, False])
async def test_a_stream_that_fails_midway_is_not_kept(coalesce):
    class Broken(Stream):
        async def rest(self, parts):
            yield parts[0]
            raise PenstockError(Kind.LOST, "cut")

    cache, model = Cache(), Broken()
    by = route(coalesce=coalesce)
    for _ in range(2):
        with pytest.raises(PenstockError, match="cut"):
            await heard(await cache(request(5, 6, 7, by=by, streaming=True), model))
    assert len(model.asked) == 2
    assert len(cache.memory.entries) == 0
    assert model.closed == 2
