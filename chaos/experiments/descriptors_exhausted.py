"""More connections than the gateway may have descriptors; those that it has go on."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from chaos.experiment import Bench, Experiment
from chaos.faults.descriptors import exhausted, opened
from chaos.felt import felt
from chaos.invariants import none_failed
from chaos.processes import Process
from chaos.site import Site
from chaos.verdict import Verdict

CROWD, LEFT = 300, 50
RATE = 20.0
BUSY = 0.8  # of a core would be a loop that tries to accept again and again


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed()) as site:
        site.backend("b0")
        await site.ready(1)
        gateway = site.gateway.gateway
        before = opened(gateway)
        async with bench.load(site, site.caller(RATE), connections=1) as load:
            await bench.wait(2.0)
            with (
                bench.fault(f"{CROWD} connections, {LEFT} descriptors"),
                exhausted(gateway, left=LEFT),
            ):
                crowd = [asyncio.create_task(_stay(site)) for _ in range(CROWD)]
                await bench.wait(2.0)
                used, begun = _processor(gateway), bench.now()
                await bench.wait(5.0)
                busy = (_processor(gateway) - used) / (bench.now() - begun)
                most = opened(gateway)
                for each in crowd:
                    each.cancel()
                await asyncio.gather(*crowd, return_exceptions=True)
                recovered = await site.until(lambda: _answers(site), "new connections again")
        await site.until(lambda: opened(gateway) <= before + LEFT // 2, "descriptors to be free")
    bench.hold(
        none_failed(load.history, "connections that were there go on"),
        felt("descriptors in use, at the limit", most, before + LEFT - 2),
        Verdict(
            busy <= BUSY,
            "no loop that accepts in vain",
            f"{busy:.0%} of a core",
            f"≤ {BUSY:.0%}",
            timed=True,
        ),
    )
    bench.figure("new connections after the crowd had left", f"{recovered:.1f} s")


async def _stay(site: Site) -> None:
    """Connects, says half of a request and stays; comes again if it is sent away."""
    host, port = site.gateway.address("http").split(":")
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(b"GET /v2/health/live HTTP/1.1\r\n")
                await reader.read()
            finally:
                writer.close()
        await asyncio.sleep(0.2)


def _answers(site: Site) -> bool:
    try:
        return site.gateway.client().get("/v2/health/live").status_code == 200
    except OSError:
        return False


def _processor(process: Process) -> float:
    """Seconds of processor time that it took so far (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


EXPERIMENT = Experiment(
    "descriptors-exhausted", 3, "more connections than the gateway has descriptors", run
)
