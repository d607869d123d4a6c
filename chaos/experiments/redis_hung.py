"""The Redis of two gateways hangs: it is connected to, and answers nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.experiment import Bench, Experiment
from chaos.probe import Need
from chaos.shared_state import Shared, befall


@asynccontextmanager
async def hung(shared: Shared) -> AsyncIterator[None]:
    shared.server.pause()
    try:
        yield
    finally:
        shared.server.resume()


async def run(bench: Bench) -> None:
    await befall(bench, "Redis is stopped (SIGSTOP)", hung)


EXPERIMENT = Experiment("redis-hung", 6, "Redis hangs", run, needs=(Need.REDIS,))
