"""The Redis of two gateways has no room left, and may let nothing go (noeviction)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.experiment import Bench, Experiment
from chaos.probe import Need
from chaos.shared_state import Shared, befall


@asynccontextmanager
async def full(shared: Shared) -> AsyncIterator[None]:
    with shared.client() as client:
        client.config_set("maxmemory", "1")
        try:
            yield
        finally:
            client.config_set("maxmemory", "0")


async def run(bench: Bench) -> None:
    await befall(bench, "Redis is full", full)


EXPERIMENT = Experiment("redis-full", 6, "Redis is full", run, needs=(Need.REDIS,))
