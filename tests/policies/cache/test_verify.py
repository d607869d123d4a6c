"""How often a kept answer is wrong: found out of a share of hits, or of all that is observed."""

import asyncio

import pytest

from policies.cache.verify import LARGE
from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import Embedding
from tests.policies.cache.kept import Cache, Model, part, reply_of, request, route, said, turns

OBSERVED = route(mode="observe")


class Unlike(dict):
    """What no comparison can look into."""

    def get(self, key, default=None):
        if key == "choices":
            raise TypeError("unhashable")
        return super().get(key, default)


async def test_a_share_of_hits_is_executed_again_as_shadow_traffic_of_the_lowest_priority():
    model, again = Model(), Model()
    cache = Cache(again=again, rng=lambda: 0.05)
    by = route(verify="10%")
    await cache(request(by=by), model)
    await cache(request(by=by, priority=1), model)
    await turns()
    (copy,) = again.asked
    assert copy.context.shadow
    assert copy.context.priority == 0xFFFF
    assert copy.context.route is None
    assert cache.counts.verified == {"fraud": 1}
    assert not cache.counts.wrong
    assert len(model.asked) == 1


async def test_a_hit_that_proves_wrong_is_counted_and_forgotten():
    model, again = Model(), Model()
    again.reply = lambda asked: Reply(part(99))
    cache = Cache(again=again, rng=lambda: 0.0)
    by = route(verify="1%")
    await cache(request(by=by), model)
    await cache(request(by=by), model)
    await turns()
    assert cache.counts.wrong == {"fraud": 1}
    await cache(request(by=by), model)
    assert len(model.asked) == 2


async def test_verifications_are_few_at_a_time_and_failures_say_nothing():
    model, again = Model(), Model()
    again.hold()
    again.fails = PenstockError(Kind.OVERLOADED, "full")
    cache = Cache(again=again, rng=lambda: 0.0)
    by = route(verify="100%")
    for _ in range(10):
        await cache(request(by=by), model)
    await turns()
    assert len(again.asked) == 4
    assert cache.filter.verifier.dropped == 5
    again.gate.set()
    await turns()
    assert cache.filter.verifier.failed == 4
    assert not cache.counts.verified


async def test_observing_executes_everything_and_counts_what_would_have_been():
    cache, model = Cache(), Model()
    for _ in range(3):
        asked = request(by=OBSERVED)
        await cache(asked, model)
        assert asked.context.timeline.cache == "bypass"
    assert len(model.asked) == 3
    assert cache.counts.requests == {
        ("fraud", "observe", "miss"): 1,
        ("fraud", "observe", "hit"): 2,
    }
    assert cache.counts.verified == {"fraud": 2}
    assert not cache.counts.wrong


async def test_observing_tells_how_often_a_kept_answer_would_have_been_wrong():
    cache, model = Cache(), Model()
    await cache(request(1, by=OBSERVED), model)
    model.reply = lambda asked: Reply(part(99))
    assert said(await cache(request(1, by=OBSERVED), model)) == [99]
    assert (cache.counts.verified["fraud"], cache.counts.wrong["fraud"]) == (1, 1)


async def test_observing_refuses_nothing_by_only_if_cached():
    cache, model = Cache(), Model()
    await cache(request(by=OBSERVED, cache_control="only-if-cached"), model)
    assert len(model.asked) == 1


@pytest.mark.parametrize("asked", ["max-age=soon", "min-fresh"])
async def test_observing_refuses_nothing_that_is_malformed(asked):
    cache, model = Cache(), Model()
    await cache(request(by=OBSERVED, cache_control=asked), model)
    assert len(model.asked) == 1
    with pytest.raises(PenstockError, match="takes a number of seconds"):
        await cache(request(cache_control=asked), model)


async def test_an_answer_that_cannot_be_compared_is_given_and_counted():
    cache, closed = Cache(), []

    async def model(asked):
        return Reply(reply_of(Embedding(Unlike())).first, None, lambda: closed.append(1))

    for _ in range(2):
        reply = await cache(request(by=OBSERVED, payload=Embedding({"input": "x"})), model)
        reply.on_close()
    assert closed == [1, 1]
    assert cache.filter.verifier.failed == 1
    assert not cache.counts.verified


async def test_large_answers_are_compared_beside_the_request():
    cache, model = Cache(budget=1 << 20, most=1 << 18), Model()
    model.reply = lambda asked: Reply(part(*[len(model.asked)] * LARGE))
    await cache(request(by=OBSERVED), model)
    await cache(request(by=OBSERVED), model)
    assert not cache.counts.verified
    async with asyncio.timeout(30.0):
        while not cache.counts.verified:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.001)
    assert cache.counts.wrong == {"fraud": 1}
