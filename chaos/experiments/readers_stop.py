"""Clients ask for long streams and stop reading them; others go on."""

import asyncio

from chaos.experiment import Bench, Experiment
from chaos.flood import PART, Flood, open_stream
from chaos.invariants import none_failed
from chaos.soak.samples import holding
from chaos.verdict import Verdict

READERS = 12
PARTS = 2000
RATE = 30.0
IDLE = 2.0  # seconds
SETTINGS = f"timeouts: {{idle: {IDLE:g}s}}\n"
GROWTH = 96 * 1024 * 1024  # bytes: what is on its way to twelve readers, several times over


async def run(bench: Bench) -> None:
    model = bench.timed()
    flood = Flood(model.repository)
    async with bench.site(model, settings=SETTINGS) as site:
        site.backends(2)
        await site.ready(2)
        await site.ready(2, "flood")
        pid = site.gateway.gateway.pid
        before = most = _memory(pid)
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(2.0)
            with bench.fault(f"{READERS} clients stop reading"):
                streams = [
                    await open_stream(site, PARTS, kept_by_kernel=4096) for _ in range(READERS)
                ]
                begun = bench.now()
                for reader, _ in streams:
                    await reader.readexactly(100)
                while (closed := flood.ended("closed")) < READERS and bench.now() < begun + 40:
                    most = max(most, _memory(pid))
                    await asyncio.sleep(0.1)
                took = bench.now() - begun
                for _, writer in streams:
                    writer.transport.abort()
            await bench.wait(2.0)
    bench.hold(
        none_failed(load.history, "nobody else failed"),
        Verdict(
            closed == READERS,
            "what nobody reads is cancelled, down to the model",
            f"{closed} of {READERS}",
            f"{READERS}",
        ),
        Verdict(
            most - before <= GROWTH,
            "the gateway holds little of it",
            f"+{(most - before) / 2**20:.0f} MiB of {READERS * PARTS * PART / 2**20:,.0f}",
            f"≤ {GROWTH / 2**20:.0f} MiB",
        ),
        Verdict(
            took <= IDLE + 4.0,
            "soon after `idle`",
            f"{took:.1f} s",
            f"≤ {IDLE + 4.0:g} s",
            timed=True,
        ),
    )


def _memory(pid: int) -> float:
    held = holding(pid)
    return held.uss if held is not None else 0.0


EXPERIMENT = Experiment("readers-stop", 3, "clients stop reading long streams", run)
