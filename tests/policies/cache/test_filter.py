"""What is answered again, and what never is."""

import asyncio
from itertools import product

import pytest

from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import Chat, Embedding, Part, Prompt, Target, Tensors
from tests.policies.cache.kept import (
    Cache,
    Model,
    Stream,
    heard,
    part,
    request,
    route,
    said,
    tensor,
    turns,
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


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"cache_control": "no-store"}, "no-store"),
        ({"parameters": {"sequence_id": 7}}, "sequence"),
        ({"parameters": {"temperature": 0.7}}, "sampled"),
        ({"payload": Chat({"messages": []})}, "sampled"),
        ({"payload": Prompt({"prompt": "x", "temperature": 0.1})}, "sampled"),
        ({"payload": Tensors((tensor(*[0] * (1 << 17)),))}, "size"),
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


@pytest.mark.parametrize(
    "payload",
    [
        Chat({"messages": [{"role": "user", "content": "x"}], "temperature": 0}),
        Chat({"messages": [], "seed": 7}),
        Prompt({"prompt": "x", "temperature": 0.0}),
        Embedding({"input": "x"}),
    ],
)
async def test_openai_requests_that_are_meant_to_be_repeatable_are_kept(payload):
    cache, model = Cache(), Model()
    answer = type(payload)({"id": "1", "data": [0.5], "choices": []})
    model.reply = lambda asked: part_of(answer)
    first = await cache(request(payload=payload), model)
    second = await cache(request(payload=payload), model)
    assert len(model.asked) == 1
    assert first.first.payload == second.first.payload == answer


def part_of(payload, final=True):
    return Reply(Part(payload, "1", {}, final))


async def test_kinds_of_openai_requests_are_kept_apart():
    cache, model = Cache(), Model()
    body = {"input": "x", "temperature": 0}
    for kind in (Chat, Prompt, Embedding):
        model.reply = lambda asked, kind=kind: part_of(kind({"of": kind.__name__}))
        assert (await cache(request(payload=kind(body)), model)).first.payload.body == {
            "of": kind.__name__
        }
    assert len(model.asked) == 3


async def test_sampled_answers_are_kept_where_the_route_says_so():
    by = route(sampled=True)
    one, other = (request(by=by, parameters={"temperature": 0.7}) for _ in range(2))
    assert await asked_twice(Cache(), one, other) == 1


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
    model.reply = lambda asked: part_of(Embedding({"error": {"message": "no"}}))
    for _ in range(2):
        await cache(request(payload=Embedding({"input": "x"})), model)
    assert len(model.asked) == 2
    assert cache.counts.unkept["fraud", "incomplete"] == 2


async def test_an_answer_over_the_bound_is_given_and_not_kept():
    cache, model = Cache(most=1000), Model()
    model.reply = lambda asked: part_reply(*[7] * 900)
    for _ in range(2):
        assert said(await cache(request(), model)) == [7] * 900
    assert len(model.asked) == 2
    assert cache.counts.unkept["fraud", "size"] == 2


def part_reply(*values):
    return Reply(part(*values))


@pytest.mark.parametrize("coalesce", [True, False])
async def test_a_stream_is_given_again_part_by_part(coalesce):
    cache, model = Cache(), Stream()
    by = route(coalesce=coalesce)
    for _ in range(3):
        reply = await cache(request(5, 6, 7, by=by, streaming=True), model)
        assert await heard(reply) == [[5], [6], [7]]
    assert len(model.asked) == 1
    assert model.closed == 1


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


# --- RFC 9111 -------------------------------------------------------------------------------------


async def test_no_cache_executes_and_keeps():
    cache, model = Cache(), Model()
    await cache(request(), model)
    cache.now += 10.0
    await cache(request(cache_control="no-cache"), model)
    assert len(model.asked) == 2
    again = request()
    await cache(again, model)
    assert len(model.asked) == 2
    assert again.context.timeline.cache_age == 0.0


async def test_max_age_and_min_fresh_bound_what_is_given():
    cache, model = Cache(), Model()
    await cache(request(), model)
    cache.now += 10.0
    for asked, executed in (
        ("max-age=10", 0),
        ("min-fresh=50", 0),
        ("min-fresh=51", 1),
        ("max-age=0", 1),
        ("max-age=3", 1),
    ):
        model.asked.clear()
        cache, model = Cache(), Model()
        await cache(request(), model)
        cache.now += 10.0
        model.asked.clear()
        await cache(request(cache_control=asked), model)
        assert len(model.asked) == executed, asked


async def test_only_if_cached_gives_what_is_kept_or_504():
    cache, model = Cache(), Model()
    with pytest.raises(PenstockError) as refused:
        await cache(request(cache_control="only-if-cached"), model)
    assert (refused.value.kind, refused.value.row.http) == (Kind.NOT_CACHED, 504)
    assert not model.asked
    await cache(request(1), model)
    assert said(await cache(request(1, cache_control="only-if-cached"), model)) == [2]


async def test_only_if_cached_of_what_is_never_kept_is_504_as_well():
    cache, model = Cache(), Model()
    with pytest.raises(PenstockError) as refused:
        await cache(request(cache_control="only-if-cached", parameters={"sequence_id": 1}), model)
    assert refused.value.kind is Kind.NOT_CACHED
    assert not model.asked


# --- observe --------------------------------------------------------------------------------------


async def test_observing_executes_everything_and_counts_what_would_have_been():
    cache, model = Cache(), Model()
    by = route(mode="observe")
    for _ in range(3):
        asked = request(by=by)
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
    by = route(mode="observe")
    await cache(request(1, by=by), model)
    model.reply = lambda asked: part_reply(99)
    assert said(await cache(request(1, by=by), model)) == [99]
    assert (cache.counts.verified["fraud"], cache.counts.wrong["fraud"]) == (1, 1)


async def test_observing_refuses_nothing_by_only_if_cached():
    cache, model = Cache(), Model()
    await cache(request(by=route(mode="observe"), cache_control="only-if-cached"), model)
    assert len(model.asked) == 1


# --- verification ---------------------------------------------------------------------------------


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
    again.reply = lambda asked: part_reply(99)
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


# --- nobody gets another's ------------------------------------------------------------------------


async def test_no_answer_is_ever_given_to_another_tenant_arm_or_revision():
    """All pairs of contexts that differ in one thing or more, each with an answer of its own."""
    cache = Cache()
    contexts = list(product(("a", "b"), ("stable", "canary"), ("r1", "r2"), ("x", "y")))

    class Tells(Model):
        def reply(self, asked):
            return part_reply(self.number)

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
