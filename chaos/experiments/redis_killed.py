"""The Redis of two gateways is killed, and started again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.experiment import Bench, Experiment
from chaos.probe import Need
from chaos.shared_state import Shared, befall


@asynccontextmanager
async def killed(shared: Shared) -> AsyncIterator[None]:
    shared.server.kill()
    yield
    await asyncio.to_thread(shared.server.start)


async def run(bench: Bench) -> None:
    await befall(bench, "Redis is dead", killed)


EXPERIMENT = Experiment(
    "redis-killed", 6, "Redis is killed and started again", run, short=True, needs=(Need.REDIS,)
)
