"""The Redis of two gateways answers after 200 ms, longer than anybody waits for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import Toxics
from chaos.probe import Need
from chaos.shared_state import Shared, befall


@asynccontextmanager
async def slow(shared: Shared) -> AsyncIterator[None]:
    shared.proxy.down = Toxics(latency=0.2)
    try:
        yield
    finally:
        shared.proxy.heal()


async def run(bench: Bench) -> None:
    await befall(bench, "Redis answers after 200 ms", slow, proxied=True)


EXPERIMENT = Experiment("redis-slow", 6, "Redis is slow", run, needs=(Need.REDIS,))
