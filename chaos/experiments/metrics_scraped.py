"""Everybody scrapes the metrics of a gateway with many routes and some backends at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from chaos.blocks import beside
from chaos.experiment import Bench, Experiment
from chaos.verdict import Verdict

ROUTES = 200
SCRAPERS = 4
PAUSE = 0.25  # seconds between two scrapes of one
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: route-{number}}}
spec:
  match: [{{model: route-{number}}}]
  backends: [{{name: stable, model: timed, version: "1"}}]
"""


async def run(bench: Bench) -> None:
    routes = {f"{number}.yaml": ROUTE.format(number=number) for number in range(ROUTES)}
    statuses: list[int] = []
    async with bench.site(bench.timed(row=0.002), routes=routes) as site:
        for number in range(3):
            site.backend(f"b{number}")
        await site.ready(3)
        url = f"http://{site.gateway.address('admin')}/metrics"
        headers = {"authorization": f"Bearer {site.gateway.token('metrics')}"}

        async def scrape(session: aiohttp.ClientSession) -> None:
            while True:
                async with session.get(url) as reply:
                    await reply.read()
                    statuses.append(reply.status)
                await asyncio.sleep(PAUSE)

        @asynccontextmanager
        async def scraped() -> AsyncIterator[None]:
            async with aiohttp.ClientSession(headers=headers) as session:
                tasks = [asyncio.create_task(scrape(session)) for _ in range(SCRAPERS)]
                yield
                for task in tasks:
                    task.cancel()
                for ended in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(ended, Exception):
                        raise ended

        await beside(bench, site, f"{SCRAPERS} scrape 4 times a second", scraped)
    bench.hold(
        Verdict(
            set(statuses) == {200},
            "every scrape is answered",
            f"{statuses.count(200)} of {len(statuses)}",
            "all",
        )
    )


EXPERIMENT = Experiment("metrics-scraped", 10, "the metrics of a large mesh are scraped", run)
