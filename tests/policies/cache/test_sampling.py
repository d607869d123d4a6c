"""Which answers are drawn by chance."""

import pytest

from policies.cache.sampling import drawn
from protos.values import Chat, Embedding, Prompt
from tests.policies.cache.kept import Cache, Model, reply_of, request, route


def is_drawn(generates=False, **how):
    return drawn(request(**how), lambda model, version: generates)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, True),
        ({"temperature": None}, True),
        ({"temperature": 0.2}, True),
        ({"temperature": 0}, False),
        ({"temperature": 0.0}, False),
        ({"seed": 7}, False),
        ({"top_k": 1, "temperature": 2}, False),
    ],
)
def test_language_models_draw_unless_they_are_told_otherwise(body, expected):
    assert is_drawn(payload=Chat(body)) == expected
    assert is_drawn(payload=Prompt(body)) == expected
    # Asked with tensors, or by `generate`, they draw just the same.
    given = {name: value for name, value in body.items() if value is not None}
    assert is_drawn(generates=True, parameters=given) == expected


def test_other_models_draw_only_with_a_temperature():
    assert not is_drawn()
    assert not is_drawn(parameters={"temperature": 0.0})
    assert is_drawn(parameters={"temperature": 0.7})
    assert not is_drawn(parameters={"temperature": 0.7, "seed": 1})


@pytest.mark.parametrize("generates", [True, False])
def test_embeddings_are_never_drawn(generates):
    assert not is_drawn(generates, payload=Embedding({"input": "x"}))


async def test_a_language_model_that_is_asked_with_tensors_passes_by():
    cache, model = Cache(), Model()
    cache.generates = True
    asked = request()
    await cache(asked, model)
    assert asked.context.timeline.cache == "bypass"
    assert cache.counts.bypassed == {("fraud", "sampled"): 1}


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
    model.reply = lambda asked: reply_of(answer)
    first = await cache(request(payload=payload), model)
    second = await cache(request(payload=payload), model)
    assert len(model.asked) == 1
    assert first.first.payload == second.first.payload == answer


async def test_sampled_answers_are_kept_where_the_route_says_so():
    by = route(sampled=True)
    one, other = (request(by=by, parameters={"temperature": 0.7}) for _ in range(2))
    cache, model = Cache(), Model()
    for asked in (one, other):
        await cache(asked, model)
    assert len(model.asked) == 1
