"""What a lessee has to say reaches its ledger, and whatever happens, nobody waits forever."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from grpc import aio

from gateway.state.leasing import Leasing, SharedLedger
from gateway.state.redis import Redis
from gateway.state.redis_ledger import RedisLedger
from gateway.state.supervisor_ledger import LedgerService, SupervisorLedger
from policies.leases.terms import Answer, Ask, Grant
from policies.limits.allowance import ASK, Allowance, LimitId
from policies.limits.elsewhere import Elsewhere
from protos.route.policies import Limit
from tests.gateway.state.redis_server import RedisServer

PATIENCE = 30.0  # seconds for a condition, on a busy machine
KEY = "acme"


def limit(**written: object) -> Limit:
    return Limit.model_validate_json(json.dumps({"per": "tenant", **written}))


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


@asynccontextmanager
async def leasing(ledger: SharedLedger, holder: str = "one") -> AsyncIterator[Leasing]:
    leasing = Leasing(ledger, holder, 1, Elsewhere())
    leasing.start()
    try:
        yield leasing
    finally:
        await leasing.close()


async def admit(leasing: Leasing, allowance: Allowance) -> bool:
    now = asyncio.get_running_loop().time()
    wait = allowance.wait(KEY, 1.0, now)
    if wait == ASK:
        await allowance.ask(KEY, 1.0)
        wait = allowance.wait(KEY, 1.0, now)
    if wait == 0.0:
        allowance.take(KEY, 1.0, now)
    return wait == 0.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)


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


async def test_an_idle_process_says_that_it_is_there() -> None:
    heard: list[int] = []

    def listens(asks: Sequence[Ask]) -> Answer | None:
        heard.append(len(asks))
        return Answer(7, ())

    async with leasing(Broken(listens)) as one:
        await until(lambda: len(heard) >= 2)
        assert one.lessee.holders == 7
    assert set(heard) == {0}


async def exactly_five_of_three_processes(ledgers: Sequence[SharedLedger]) -> None:
    of, limit_id = limit(requests="5/1h"), LimitId("r", "x", 0)
    async with (
        leasing(ledgers[0], "one") as one,
        leasing(ledgers[1], "two") as two,
        leasing(ledgers[2], "three") as three,
    ):
        processes = [(each, each.lessee(limit_id, of)) for each in (one, two, three)]
        admitted = [await admit(*processes[turn % 3]) for turn in range(15)]
        assert sum(admitted) == 5


async def test_processes_of_one_machine_share_the_supervisors_ledger(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    server = aio.server()
    server.add_generic_rpc_handlers((LedgerService().handler(),))
    server.add_insecure_port(address)
    await server.start()
    try:
        await exactly_five_of_three_processes([SupervisorLedger(address) for _ in range(3)])
    finally:
        await server.stop(None)


async def test_a_supervisor_that_is_gone_is_no_error(tmp_path: Path) -> None:
    async with leasing(SupervisorLedger(f"unix:{tmp_path}/nobody")) as one:
        allowance = one.lessee(LimitId("r", "x", 0), limit(requests="1/1h"))
        assert await admit(one, allowance)
        assert one.lessee.lost


async def test_replicas_share_redis(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        clients = [Redis(server.settings, patience=10.0) for _ in range(3)]
        await asyncio.gather(*(each.start() for each in clients))
        try:
            await exactly_five_of_three_processes([RedisLedger(each) for each in clients])
        finally:
            await asyncio.gather(*(each.close() for each in clients))
