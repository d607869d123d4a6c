"""What is answered again, and what never is."""

from itertools import product

import pytest

from protos.service import Reply
from protos.timeline import Target
from protos.values import Chat, Embedding, Prompt, Tensors
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
    tensor,
)


async def asked_twice(cache, one, other):
    """How often a model was asked for two requests, one after the other."""
    model = Model()
    await cache(one, model)
    await cache(other, model)
    return len(model.asked)


async def test_an_equal_request_gets_the_answer_that_is_kept():
    cache, model = Cache(), Model()
    first, second = request(1, 2), request(1, 2)
    assert said(await cache(first, model)) == [2, 3]
    cache.now += 7.0
    assert said(await cache(second, model)) == [2, 3]
    assert len(model.asked) == 1
    assert [each.context.timeline.cache for each in (first, second)] == ["miss", "hit"]
    assert second.context.timeline.cache_age == pytest.approx(7.0)
    assert cache.outcomes() == {"miss": 1, "hit": 1}


async def test_a_route_without_a_cache_costs_no_coroutine_and_shows_nothing():
    cache = Cache()
    plain = request(by=None)
    answer = object()
    assert cache.filter(plain, lambda request: answer) is answer
    assert plain.context.timeline.cache == ""


async def test_shadow_traffic_is_executed():
    cache, model = Cache(), Model()
    await cache(request(), model)
    await cache(request(shadow=True), model)
    assert len(model.asked) == 2
    assert cache.outcomes() == {"miss": 1}


async def test_nothing_is_given_after_its_time():
    cache, model = Cache(), Model()
    await cache(request(), model)
    cache.now += 59.9
    await cache(request(), model)
    assert len(model.asked) == 1
    cache.now += 0.2
    await cache(request(), model)
    assert len(model.asked) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": "other"},
        {"arm": "canary"},
        {"target": Target("stable", "m", "2")},
        {"target": Target("stable", "other", "1")},
        {"by": route(revision="r2")},
        {"by": route("another")},
        {"streaming": True},
        {"parameters": {"unknown": 1}},
        {"payload": Tensors((tensor(1),), ("y",))},
        {"payload": Tensors((tensor(1, name="z"),))},
    ],
)
async def test_what_an_answer_depends_on_tells_requests_apart(other):
    assert await asked_twice(Cache(), request(1), request(**{"payload": None, **other})) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"parameters": {"timeout": 5_000_000, "priority": 2}},
        {"priority": 3},
        {"deadline": 1e9},
        {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"},
    ],
)
async def test_how_soon_an_answer_is_wanted_does_not(other):
    assert await asked_twice(Cache(), request(1), request(1, **other)) == 1


async def test_the_order_of_inputs_makes_no_difference():
    a, b = tensor(1, name="a"), tensor(2, name="b")
    one, other = request(payload=Tensors((a, b))), request(payload=Tensors((b, a)))
    assert await asked_twice(Cache(), one, other) == 1


async def test_parameters_of_different_types_are_different():
    cache, model = Cache(), Model()
    values = (True, 1, 1.0, "1", "True")
    for value in values:
        await cache(request(parameters={"p": value}), model)
    assert len(model.asked) == len(values)


async def test_a_route_may_share_answers_between_its_tenants():
    shared = route(scope="route")
    one, other = request(by=shared, tenant="one"), request(by=shared, tenant="other")
    assert await asked_twice(Cache(), one, other) == 1


async def test_a_new_revision_misses_at_once_and_the_former_ones_answer_is_not_kept_for_it():
    cache, model = Cache(), Model()
    await cache(request(), model)
    cache.revision = "new"
    await cache(request(), model)
    assert len(model.asked) == 2


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"cache_control": "no-store"}, "no-store"),
        ({"parameters": {"sequence_id": 7}}, "sequence"),
        ({"parameters": {"temperature": 0.7}}, "sampled"),
        ({"payload": Chat({"messages": []})}, "sampled"),
        ({"payload": Prompt({"prompt": "x", "temperature": 0.1})}, "sampled"),
        ({"payload": Tensors((tensor(*[0] * (1 << 17)),))}, "size"),
        ({"payload": Tensors((tensor(1, name="n" * (1 << 17)),))}, "size"),
        ({"payload": Tensors((tensor(1),), ("n" * (1 << 17),))}, "size"),
        ({"parameters": {"p": "v" * (1 << 17)}}, "size"),
        ({"payload": Embedding({"input": "x"}, size=1 << 17)}, "size"),
        ({"payload": Embedding({"input": "x" * (1 << 17)})}, "size"),
    ],
)
async def test_some_requests_pass_by(how, reason):
    cache, model = Cache(), Model()
    model.reply = lambda asked: Model.reply(model, request(1))
    for _ in range(2):
        asked = request(**how)
        await cache(asked, model)
        assert asked.context.timeline.cache == "bypass"
    assert len(model.asked) == 2
    assert cache.counts.bypassed == {("fraud", reason): 2}
    assert len(cache.memory.entries) == 0


@pytest.mark.parametrize("revision", [None, ""])
async def test_without_a_common_revision_nothing_is_kept(revision):
    cache = Cache()
    cache.revision = revision
    assert await asked_twice(cache, request(), request()) == 2
    assert cache.counts.bypassed == {("fraud", "revision"): 2}


async def test_models_that_are_not_idempotent_are_always_executed():
    cache = Cache()
    cache.idempotent = False
    assert await asked_twice(cache, request(), request()) == 2
    assert cache.counts.bypassed == {("fraud", "idempotence"): 2}


async def test_kinds_of_openai_requests_are_kept_apart():
    cache, model = Cache(), Model()
    body = {"input": "x", "temperature": 0}
    for kind in (Chat, Prompt, Embedding):
        model.reply = lambda asked, kind=kind: reply_of(kind({"of": kind.__name__}))
        assert (await cache(request(payload=kind(body)), model)).first.payload.body == {
            "of": kind.__name__
        }
    assert len(model.asked) == 3


@pytest.mark.parametrize("coalesce", [True, False])
async def test_a_stream_is_given_again_part_by_part(coalesce):
    cache, model = Cache(), Stream()
    by = route(coalesce=coalesce)
    for _ in range(3):
        reply = await cache(request(5, 6, 7, by=by, streaming=True), model)
        assert await heard(reply) == [[5], [6], [7]]
    assert len(model.asked) == 1
    assert model.closed == 1


async def test_no_answer_is_ever_given_to_another_tenant_arm_or_revision():
    """All pairs of contexts that differ in one thing or more, each with an answer of its own."""
    cache = Cache()
    contexts = list(product(("a", "b"), ("stable", "canary"), ("r1", "r2"), ("x", "y")))

    class Tells(Model):
        def reply(self, asked):
            return Reply(part(self.number))

    model = Tells()
    for model.number, (tenant, arm, revision, cache.revision) in enumerate(contexts):
        by = route(revision=revision)
        asked = request(by=by, tenant=tenant, arm=arm)
        assert said(await cache(asked, model)) == [model.number]
    for number, (tenant, arm, revision, cache.revision) in enumerate(contexts):
        by = route(revision=revision)
        asked = request(by=by, tenant=tenant, arm=arm)
        assert said(await cache(asked, model)) == [number]
    assert len(model.asked) == len(contexts)
