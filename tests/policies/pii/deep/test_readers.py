"""Names and places through the privacy filter."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from policies.pii.deep.pool import Pool
from policies.pii.deep.readers import Readers
from policies.pii.deep.settings import Deep
from policies.privacy import Privacy
from protos.arrays import split_bytes
from protos.errors import Kind, PenstockError
from tests.policies.pii.finding import KEY
from tests.policies.test_privacy import Model, bytes_of, part, request, route, words

READER = (sys.executable, str(Path(__file__).with_name("reader.py")))


@asynccontextmanager
async def privacy() -> AsyncIterator[Privacy]:
    made = Privacy(lambda: KEY, lambda: 0.0, Readers(lambda deep: Pool(deep, READER)))
    try:
        yield made
    finally:
        await made.close()


def deep(model: str = "any", **more: Any) -> dict[str, Any]:
    return {"model": model, "timeout": "60s", **more}


def patient(model: str) -> Deep:
    return Deep.model_validate_json(json.dumps(deep(model)))


async def seen(made: Privacy, *texts: str, mode: str = "enforce", **policy: Any) -> list[str]:
    """What the model is given."""
    model = Model()
    await made(request(bytes_of(*texts), on=route(mode, **policy)), model)
    return [raw.decode() for raw in split_bytes(model.asked[0].payload.tensors[0].data)]


async def test_names_are_hidden_beside_what_patterns_find_and_restored() -> None:
    async with privacy() as made:
        on = route(deep=deep(), default={"action": "restore"})
        model = Model()
        asked = request(bytes_of("Jane is jane@example.com", "1234", '{"who": "Jane"}'), on=on)
        reply = await made(asked, model)
        given = [raw.decode() for raw in split_bytes(model.asked[0].payload.tensors[0].data)]
        assert given[0].startswith("[PERSON_")
        assert "[EMAIL_" in given[0]
        assert given[2] == '{"who": "' + given[0].split(" ")[0] + '"}'
        assert words(reply.first) == ["Jane is jane@example.com", "1234", '{"who": "Jane"}']
        assert asked.context.timeline.found["PERSON"] == 2


async def test_actions_scores_and_allow_lists_apply_to_names() -> None:
    async with privacy() as made:
        replaced = {"PERSON": {"action": "replace"}}
        assert await seen(made, "Jane", deep=deep(), entities=replaced) == ["[PERSON]"]
        doubted = {"PERSON": {"action": "replace", "minScore": 0.9}}
        assert await seen(made, "Jane", deep=deep(), entities=doubted) == ["Jane"]
        allowed = [{"entities": ["PERSON"], "values": ["Jane"]}]
        assert await seen(made, "Jane", deep=deep(), allow=allowed) == ["Jane"]
        with pytest.raises(PenstockError, match="1 PERSON") as caught:
            await seen(made, "Jane", deep=deep(), entities={"PERSON": {"action": "block"}})
        assert caught.value.kind is Kind.FORBIDDEN


async def test_what_was_not_read_does_not_pass() -> None:
    async with privacy() as made:
        with pytest.raises(PenstockError) as caught:
            await seen(made, "die", deep=deep())
        assert caught.value.kind is Kind.UNAVAILABLE
        with pytest.raises(PenstockError) as caught:
            await seen(made, "some text", deep=deep("slow", timeout="10ms"))
        assert caught.value.kind is Kind.OVERLOADED
        with pytest.raises(PenstockError) as caught:
            await seen(made, "a" * 30, "b" * 30, deep=deep(longest=50))
        assert caught.value.kind is Kind.TOO_LARGE


async def test_observing_refuses_nothing_and_counts_names() -> None:
    async with privacy() as made:
        assert await seen(made, "die", mode="observe", deep=deep()) == ["die"]
        assert await seen(made, "a" * 60, mode="observe", deep=deep(longest=50)) == ["a" * 60]
        assert await seen(made, "Jane", mode="observe", deep=deep()) == ["Jane"]
        (found,) = made.found.values()
        assert found["PERSON"] == 1


async def test_texts_longer_than_a_step_are_read_whole() -> None:
    async with privacy() as made:
        text = "word " * 2000 + "Jane"
        (given,) = await seen(made, text, deep=deep())
        assert given.startswith(text[:-4] + "[PERSON_")


async def test_replies_are_not_read() -> None:
    async with privacy() as made:
        model = Model(part(bytes_of("Jane and bob@example.com")))
        reply = await made(request(bytes_of("who?"), on=route(deep=deep())), model)
        (said,) = words(reply.first)
        assert said.startswith("Jane and [EMAIL_")


async def test_pools_are_shared_and_end_when_nobody_asks_for_them() -> None:
    made: list[Pool] = []

    def make(deep: Deep) -> Pool:
        made.append(Pool(deep, READER))
        return made[-1]

    one, other = patient("any"), patient("other")
    readers = Readers(make)
    readers.keep([one, other])
    assert readers.of(patient("any")) is readers.of(one)
    assert len(made) == 2
    for pool in made:
        assert await pool.find(["-"]) == [[]]
    readers.keep([one])
    await readers.close()
    assert [pool.pids for pool in made] == [[], []]
