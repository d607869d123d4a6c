"""What a lessee has to say reaches its ledger, and whatever happens, nobody waits forever."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.state.leasing import Leasing
from gateway.state.redis import Redis
from gateway.state.redis_ledger import RedisLedger
from policies.leases.lessee import Lessee
from policies.leases.terms import Answer, Ask, Grant
from policies.limits.allowance import LimitId
from policies.limits.elsewhere import Elsewhere
from tests.gateway.state.leasing_processes import (
    PATIENCE,
    admit,
    exactly_five_of_three_processes,
    leasing,
    limit,
    until,
)
from tests.gateway.state.redis_server import RedisServer


class Broken:
    """A ledger that does what it is told to; `closed` says whether it was."""

    def __init__(self, answer: Callable[[Sequence[Ask]], Answer | None]) -> None:
        self._answer = answer
        self.closed = False

    async def exchange(self, holder: str, asks: Sequence[Ask]) -> Answer | None:
        await asyncio.sleep(0)
        return self._answer(asks)

    async def close(self) -> None:
        self.closed = True


def fails(asks: Sequence[Ask]) -> Answer | None:
    raise RuntimeError("a mistake")


def lost(asks: Sequence[Ask]) -> Answer | None:
    return None


def short(asks: Sequence[Ask]) -> Answer | None:
    return Answer(1, (Grant(0.0, 0.0, 0.0),) * (len(asks) + 1))


@pytest.mark.parametrize("answer", [fails, lost, short])
async def test_when_there_is_no_answer_the_stand_in_gives_one(
    answer: Callable[[Sequence[Ask]], Answer | None],
) -> None:
    ledger = Broken(answer)
    async with asyncio.timeout(PATIENCE), leasing(ledger) as one:
        allowance = one.lessee(LimitId("r", "x", 0), limit(requests="2/1h"))

        assert [await admit(one, allowance) for _ in range(3)] == [True, True, False]
        assert one.lessee.lost
    assert ledger.closed


async def test_what_is_under_way_when_a_process_ends_is_answered_and_the_rest_is_told() -> None:
    told: list[float] = []
    under_way, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Broken):
        async def exchange(self, holder: str, asks: Sequence[Ask]) -> Answer | None:
            if asks:
                under_way.set()
                await go_on.wait()
            told.extend(ask.charge for ask in asks)
            return Answer(1, tuple(Grant(ask.need, 100.0, 0.0) for ask in asks))

    one = Leasing(Slow(lost), "one", 1, Elsewhere())
    one.start()
    allowance = one.lessee(LimitId("r", "x", 0), limit(requests="1000/1s"))
    assert await admit(one, allowance)
    async with asyncio.timeout(PATIENCE):
        await under_way.wait()
        assert await admit(one, allowance)
        closing = asyncio.create_task(one.close())
        await asyncio.sleep(0)
        go_on.set()
        await closing

    assert sum(told) == 2.0
    assert not one.lessee.lost


async def test_who_waits_for_an_exchange_that_is_cancelled_is_told_by_the_stand_in() -> None:
    under_way = asyncio.Event()

    class Hangs(Broken):
        async def exchange(self, holder: str, asks: Sequence[Ask]) -> Answer | None:
            if asks:
                under_way.set()
                await asyncio.Event().wait()
            return Answer(1, ())

    one = Leasing(Hangs(lost), "one", 1, Elsewhere())
    task = asyncio.create_task(one._run())
    allowance = one.lessee(LimitId("r", "x", 0), limit(requests="2/1h"))
    waits = asyncio.create_task(admit(one, allowance))
    async with asyncio.timeout(PATIENCE):
        await under_way.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await waits
    assert one.lessee.lost


async def test_after_a_mistake_of_ours_leasing_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    mistakes = iter([RuntimeError("a mistake")])
    due = Lessee.due

    def fails_once(*arguments: Any, **more: Any) -> Any:
        for mistake in mistakes:
            raise mistake
        return due(*arguments, **more)

    monkeypatch.setattr(Lessee, "due", fails_once)
    async with asyncio.timeout(PATIENCE), leasing(Broken(lost)) as one:
        allowance = one.lessee(LimitId("r", "x", 0), limit(requests="1/1h"))
        assert await admit(one, allowance)


async def test_nobody_waits_for_ever_where_nobody_leases() -> None:
    one = Leasing(Broken(lost), "one", 1, Elsewhere())  # and is not started
    allowance = one.lessee(LimitId("r", "x", 0), limit(requests="1/1h"))
    async with asyncio.timeout(PATIENCE):
        assert not await admit(one, allowance)


async def test_an_idle_process_says_that_it_is_there() -> None:
    heard: list[int] = []

    def listens(asks: Sequence[Ask]) -> Answer | None:
        heard.append(len(asks))
        return Answer(7, ())

    async with leasing(Broken(listens)) as one:
        await until(lambda: len(heard) >= 2)
        assert one.lessee.holders == 7
    assert set(heard) == {0}


async def test_replicas_share_redis(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        clients = [Redis(server.settings, patience=10.0) for _ in range(3)]
        await asyncio.gather(*(each.start() for each in clients))
        try:
            await exactly_five_of_three_processes([RedisLedger(each) for each in clients])
        finally:
            await asyncio.gather(*(each.close() for each in clients))
