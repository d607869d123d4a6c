"""Nothing that is taken until a request has ended is lost, on every one of its endings."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.errors import Kind, PenstockError
from protos.service import Reply, Service
from protos.values import InferRequest
from tests.policies.limits.endings import CHUNK, answering, chat, failing, left, use
from tests.policies.limits.limited import (
    REPLY,
    Clock,
    admitted,
    limit,
    limits_by,
    refusal,
    replied,
    route,
)


@pytest.mark.parametrize(
    "by",
    [
        answering(CHUNK, CHUNK),
        answering({}),
        failing(PenstockError(Kind.OVERLOADED, "full")),
        failing(PenstockError(Kind.LOST, "lost")),
        failing(RuntimeError()),
        failing(asyncio.CancelledError()),
    ],
)
def test_a_slot_is_free_after_every_ending(by: Service) -> None:
    limits, of = limits_by(Clock()), route(limit(concurrency=1))
    for _ in range(3):
        use(limits, chat(of), by, parts=1)
    assert left(limits) == 1
    assert admitted(limits, chat(of))


def test_a_stream_holds_its_slot_until_it_is_closed() -> None:
    limits, of = limits_by(Clock()), route(limit(concurrency=1))
    reply = replied(limits, chat(of), answering(CHUNK, CHUNK))
    error = refusal(limits, chat(of))
    assert error.message == "the limit of requests under way for each tenant is reached"
    assert error.retry_after == 1.0
    reply.on_close()
    assert admitted(limits, chat(of))


def test_a_task_that_is_cancelled_frees_its_slot() -> None:
    limits, of = limits_by(Clock()), route(limit(concurrency=1))

    async def cancelled() -> None:
        begun = asyncio.Event()

        async def hang(given: InferRequest) -> Reply:
            begun.set()
            await asyncio.Event().wait()
            return REPLY

        async def ask() -> Reply:
            return await limits(chat(of), hang)

        asking = asyncio.create_task(ask())
        await begun.wait()
        assert left(limits) == 0
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(cancelled())
    assert left(limits) == 1


def test_closing_frees_the_slot_though_the_reply_below_fails_to_close() -> None:
    limits, of = limits_by(Clock()), route(limit(concurrency=1))

    def broken() -> None:
        raise RuntimeError("broken")

    async def answer(given: InferRequest) -> Reply:
        return Reply(REPLY.first, None, broken)

    with pytest.raises(RuntimeError):
        replied(limits, chat(of), answer).on_close()
    assert left(limits) == 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.sampled_from("ab")), max_size=40))
def test_no_order_of_beginnings_and_endings_leaks_anything(
    steps: list[tuple[bool, int, str]],
) -> None:
    of = route(limit(concurrency=3), limit(tokens="1M/1s"), limit(per="route", concurrency=4))
    clock = Clock()
    limits = limits_by(clock)
    open_: list[Callable[[], None]] = []
    for begins, which, tenant in steps:
        if begins:
            try:
                open_.append(replied(limits, chat(of, tenant=tenant), answering(CHUNK)).on_close)
            except PenstockError:
                assert len(open_) >= 3
        elif open_:
            open_.pop(which % len(open_))()
    for close in open_:
        close()
    clock.now += 1.0
    assert all(each.idle(clock.now) for each in limits._allowances.values())


def test_a_call_that_never_begins_takes_no_slot() -> None:
    limits, of = limits_by(Clock()), route(limit(concurrency=1))

    async def dropped() -> None:
        asking = asyncio.ensure_future(limits(chat(of), answering(CHUNK)))
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(dropped())
    assert admitted(limits, chat(of))


def test_slots_that_are_made_more_or_fewer_know_who_has_one() -> None:
    limits = limits_by(Clock())
    before, after, less = (route(limit(concurrency=number)) for number in (3, 4, 2))
    held = [replied(limits, chat(before)) for _ in range(3)]
    held.append(replied(limits, chat(after)))
    for of in (before, after, less):
        assert not admitted(limits, chat(of))
    held.pop(0).on_close()
    assert admitted(limits, chat(after))
    assert not admitted(limits, chat(less))
    for reply in held:
        reply.on_close()
    assert admitted(limits, chat(less))
