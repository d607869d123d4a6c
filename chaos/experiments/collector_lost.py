"""The trace collector hangs or is gone while every request is traced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.blocks import beside
from chaos.experiment import Bench, Experiment
from chaos.faults.process import stopped
from chaos.faults.proxy import FaultProxy
from chaos.ports import free_ports
from chaos.processes import Process
from chaos.verdict import Verdict

QUEUE = 8192  # spans that wait in a process
TRACE = 16  # spans of a request are taken all or none, so that so few places may stay free
FULL = 250.0  # requests a second that fill the queue
LOOKS = 6
DROPPED, EXPORTED = "penstock_spans_dropped_total", "penstock_spans_exported_total"
QUEUED = "penstock_spans_queued"
SETTINGS = """
telemetry:
  collector: {{endpoint: "http://{address}"}}
  sample: 100%
"""


async def run(bench: Bench) -> None:
    (port,) = free_ports(1)
    collector = Process("collector", ["chaos.collector", str(port)], bench.folder)
    try:
        async with FaultProxy(port) as proxy:
            await _run(bench, collector, proxy)
    finally:
        collector.kill()


async def _run(bench: Bench, collector: Process, proxy: FaultProxy) -> None:
    settings = SETTINGS.format(address=proxy.address)
    faults = [0]

    @asynccontextmanager
    async def lost() -> AsyncIterator[None]:
        """It hangs and is gone by turns."""
        faults[0] += 1
        if faults[0] % 2:
            with stopped(collector):
                yield
            return
        await proxy.refuse()
        await proxy.cut(reset=True)
        yield
        await proxy.accept()

    async with bench.site(bench.timed(row=0.002), settings=settings) as site:
        site.backend("b0")
        await site.ready(1)
        await beside(bench, site, "the collector hangs, or is gone", lost)
        bench.step("the collector hangs")
        with stopped(collector):
            # More than the exporter gives up in the same time.
            async with bench.load(site, site.caller(FULL), name="afterwards"):
                await site.until(lambda: site.counter(QUEUED) >= QUEUE - TRACE, "a full queue")
                before = site.counter(DROPPED)
                looks = []
                for _ in range(LOOKS):
                    await asyncio.sleep(0.5)
                    looks.append(await asyncio.to_thread(site.counter, QUEUED))
                await site.until(lambda: site.counter(DROPPED) > before, "what is lost to count")
            dropped, queued = site.counter(DROPPED), max(looks)
        exported = site.counter(EXPORTED)
        async with bench.load(site, site.caller(50.0), name="healed"):
            await site.until(lambda: site.counter(EXPORTED) > exported, "spans to arrive again")
    bench.hold(
        Verdict(exported > 0, "spans arrived while it was there", f"{exported:.0f}", "> 0"),
        Verdict(queued <= QUEUE, "the queue is bounded", f"{queued:.0f} spans", f"≤ {QUEUE}"),
        Verdict(dropped > 0, "what is lost is counted", f"{dropped:.0f} spans", "> 0"),
    )


EXPERIMENT = Experiment("collector-lost", 10, "the trace collector hangs, or is gone", run)
