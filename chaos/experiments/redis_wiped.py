"""The Redis of two gateways loses its data."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.experiment import Bench, Experiment
from chaos.probe import Need
from chaos.shared_state import Shared, befall


@asynccontextmanager
async def wiped(shared: Shared) -> AsyncIterator[None]:
    with shared.client() as client:
        client.flushall()
        client.script_flush()
        yield


async def run(bench: Bench) -> None:
    await befall(bench, "FLUSHALL, SCRIPT FLUSH", wiped, loses=False)


EXPERIMENT = Experiment("redis-wiped", 6, "Redis loses all that it held", run, needs=(Need.REDIS,))
