"""Processes that lease limits, as a gateway's workers do."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from gateway.state.leasing import Leasing, SharedLedger
from policies.limits.allowance import ASK, Allowance, LimitId
from policies.limits.elsewhere import Elsewhere
from protos.route.policies import Limit

PATIENCE = 30.0  # seconds for a condition, on a busy machine
KEY = "acme"


def limit(**written: object) -> Limit:
    return Limit.model_validate_json(json.dumps({"per": "tenant", **written}))


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
