"""Another process holds the record store's lock, again and again."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chaos.blocks import beside
from chaos.experiment import Bench, Experiment
from chaos.site import Site
from chaos.verdict import Verdict

# Decisions of all users besides usage, so that there is much to record.
SETTINGS = "decisions: {perSecond: 1000}\n"


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed(row=0.002), settings=SETTINGS) as site:
        site.backend("b0")
        await site.ready(1)
        store = site.gateway.folder / "state" / "records.db"
        load = await beside(bench, site, "the store is locked", lambda: _locked(store))
        answered = len(load.history.of("answered"))
        await site.until(lambda: _recorded(site) >= answered, "usage to be recorded")
        recorded = _recorded(site)
        dropped = site.counter("penstock_usage_records_dropped_total")
    bench.hold(
        Verdict(
            (recorded, dropped) == (answered, 0),
            "usage is recorded when the store is back",
            f"{recorded} requests, {dropped:g} dropped",
            f"{answered}, 0",
        )
    )


def _recorded(site: Site) -> int:
    answer = site.gateway.admin("GET", "/admin/usage")
    return sum(row["requests"] for row in answer.raise_for_status().json()["usage"])


@asynccontextmanager
async def _locked(store: Path) -> AsyncIterator[None]:
    connection = await asyncio.to_thread(_lock, store)
    try:
        yield
    finally:
        connection.close()


def _lock(store: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(store, timeout=30.0, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


EXPERIMENT = Experiment("record-store-locked", 10, "another process locks the record store", run)
