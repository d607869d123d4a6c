"""Below limits: whatever is executed is paid for, whoever of those who asked for it has gone."""

import asyncio
import time

import pytest

from policies.limits.filter import Limits
from policies.limits.local import Local
from protos.errors import Kind, PenstockError
from protos.service import Reply, stack
from protos.values import Chat, Part
from tests.policies.cache.kept import Cache, request, route

ROUTE = route(more={"limits": ({"per": "tenant", "tokens": "1k/1m"},)})


class Talks:
    """Uses 404 tokens for each answer."""

    def __init__(self):
        self.answered = 0

    async def __call__(self, asked):
        timeline = asked.context.timeline
        timeline.began = 1.0
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.answered += 1
        timeline.used.prompt_tokens, timeline.used.completion_tokens = 4, 400
        return Reply(Part(Chat({"choices": []}), "1", {}, True))


def says(number):
    body = {"messages": [{"role": "user", "content": str(number)}], "max_tokens": 400}
    return request(by=ROUTE, payload=Chat({**body, "temperature": 0}))


async def test_asking_twice_and_leaving_once_is_not_free():
    limits = Limits(Local(time.time), lambda: 0.0, time.time)  # time stands still for them
    model = Talks()
    service = stack([limits, Cache().filter], model)

    async def twice(number):
        leaves = asyncio.ensure_future(service(says(number)))
        await asyncio.sleep(0)
        stays = asyncio.ensure_future(service(says(number)))
        await asyncio.sleep(0)
        leaves.cancel()
        (await stays).on_close()

    async def until_refused():
        for number in range(10):
            await twice(number)

    with pytest.raises(PenstockError) as refused:
        await until_refused()
    assert refused.value.kind is Kind.RATE_LIMITED
    assert model.answered <= 2
