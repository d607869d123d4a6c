"""The gateway's disk is full: log, audit log, records and state can't be written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.blocks import beside
from chaos.experiment import Bench, Experiment
from chaos.faults.disk import full
from chaos.verdict import Verdict

WRITTEN = "penstock_audit_records_written_total"
FAILED = "penstock_audit_write_failures_total"


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed(row=0.002)) as site:
        site.backend("b0")
        await site.ready(1)

        @asynccontextmanager
        async def fault() -> AsyncIterator[None]:
            with full(site.gateway.gateway):
                yield

        await beside(bench, site, "the disk is full", fault)
        failures = site.counter(FAILED)
        written = site.counter(WRITTEN)
        async with bench.load(site, site.caller(20.0), name="healed"):
            await site.until(lambda: site.counter(WRITTEN) > written, "records to be written")
    bench.hold(Verdict(failures > 0, "failed writes are counted", f"{failures:g}", "> 0"))


EXPERIMENT = Experiment("disk-full", 10, "the gateway's disk is full", run)
