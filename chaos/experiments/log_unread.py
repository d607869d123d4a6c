"""Nobody reads the pipe that the gateway writes its log to, again and again."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.blocks import beside
from chaos.experiment import Bench, Experiment
from chaos.site import Site
from chaos.verdict import Verdict

DROPPED = "penstock_log_lines_dropped_total"
BYTES = 4096  # of the pipe, the least that Linux gives
# Every request is told, so that the pipe is full at once.
SETTINGS = "telemetry: {logs: {sample: 100%}}\n"


async def run(bench: Bench) -> None:
    read, write = _pipe()
    try:
        async with bench.site(bench.timed(row=0.002), settings=SETTINGS) as site:
            await _run(bench, site, read, write)
    finally:
        os.close(read)


async def _run(bench: Bench, site: Site, read: int, write: int) -> None:
    loop = asyncio.get_running_loop()

    def follow() -> None:
        loop.add_reader(read, os.read, read, 65536)

    @asynccontextmanager
    async def unread() -> AsyncIterator[None]:
        loop.remove_reader(read)
        yield
        follow()

    follow()
    await asyncio.to_thread(site.gateway.gateway.stop)
    site.gateway.start_gateway(write)
    os.close(write)
    site.backend("b0")
    await site.ready(1)
    try:
        await beside(bench, site, "nobody reads the log", unread)
        async with bench.load(site, site.caller(50.0), name="afterwards"):
            with bench.fault("nobody reads the log"):
                async with unread():
                    await site.until(lambda: site.counter(DROPPED) > 0, "lost lines to be counted")
        dropped = site.counter(DROPPED)
        # The gateway ends although nobody reads what it says of that.
        loop.remove_reader(read)
        ended = await asyncio.to_thread(site.gateway.gateway.stop)
    finally:
        loop.remove_reader(read)
    bench.hold(
        Verdict(dropped > 0, "lines that nobody read are counted", f"{dropped:g}", "> 0"),
        Verdict(ended == 0, "the gateway ends as it should", f"status {ended}", "0"),
    )


def _pipe() -> tuple[int, int]:
    """Its ends to read and to write; as small as can be."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, BYTES)
    return read, write


EXPERIMENT = Experiment("log-unread", 10, "nobody reads the gateway's log", run)
