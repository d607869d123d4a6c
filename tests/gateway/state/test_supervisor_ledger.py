"""The ledger of one machine, over its socket."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from gateway.state.supervisor_ledger import LedgerService, SupervisorLedger
from policies.limits.allowance import LimitId
from tests.gateway.state.leasing_processes import (
    PATIENCE,
    admit,
    exactly_five_of_three_processes,
    leasing,
    limit,
    until,
)


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


async def test_a_supervisor_that_hangs_is_asked_no_more_until_it_answers(tmp_path: Path) -> None:
    answers = asyncio.Event()
    answers.set()

    class Service(LedgerService):
        async def _exchange(self, told: Any, context: Any) -> Any:
            await answers.wait()
            return await super()._exchange(told, context)

    address = f"unix:{tmp_path}/s"
    server = aio.server()
    server.add_generic_rpc_handlers((Service().handler(),))
    server.add_insecure_port(address)
    await server.start()
    ledger = SupervisorLedger(address, patience=0.05)
    try:
        async with asyncio.timeout(PATIENCE):
            while await ledger.exchange("one", []) is None:
                pass  # until they have met
            answers.clear()
            while ledger.breaker.up:
                assert await ledger.exchange("one", []) is None
            # Nothing is awaited from here on: the call ends without the loop having turned.
            with pytest.raises(StopIteration) as ended:
                ledger.exchange("one", []).send(None)
            assert ended.value.value is None
            answers.set()
            await until(lambda: ledger.breaker.up)
    finally:
        await ledger.close()
        await server.stop(None)


async def test_a_supervisor_that_is_gone_is_no_error(tmp_path: Path) -> None:
    async with leasing(SupervisorLedger(f"unix:{tmp_path}/nobody")) as one:
        allowance = one.lessee(LimitId("r", "x", 0), limit(requests="1/1h"))
        assert await admit(one, allowance)
        assert one.lessee.lost
