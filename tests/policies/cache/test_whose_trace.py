"""In whose trace the attempts of an execution stand, that several requests wait for."""

import asyncio

from protos.service import Reply
from protos.timeline import Attempt
from tests.policies.cache.kept import Cache, part, request


def traceparent(number: int) -> str:
    return f"00-{f'{number}' * 32}-{f'{number}' * 16}-01"


async def test_attempts_stay_with_the_one_under_whose_traceparent_backends_work() -> None:
    cache, gate = Cache(), asyncio.Event()
    carried: list[str] = []

    async def model(asked):
        context = asked.context
        carried.append(context.traceparent)
        context.timeline.attempts.append(Attempt("one", context.target, 1, 0.1, span_id=7))
        await gate.wait()
        return Reply(part(3))

    leader, heir = (request(1, traceparent=traceparent(number)) for number in (1, 2))
    for asked in (leader, heir):
        asked.context.timeline.traceparent = asked.context.traceparent
    first = asyncio.ensure_future(cache(leader, model))
    async with asyncio.timeout(30.0):
        while not carried:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        second = asyncio.ensure_future(cache(heir, model))
        while heir.context.timeline.cache != "coalesced":  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    gate.set()
    await second

    assert carried == [traceparent(1)]
    assert [each.span_id for each in leader.context.timeline.attempts] == [7]
    assert heir.context.timeline.attempts == []
    (wait,) = heir.context.timeline.waits
    assert (wait.stage, wait.behind) == ("coalesce", traceparent(1))
