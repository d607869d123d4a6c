"""Five hundred clients send heads and bodies byte by byte, and never come to their end (slowloris).

Each keeps a connection and a little memory, until the gateway's patience is over.
"""

import asyncio
from contextlib import suppress

from chaos.experiment import Bench, Experiment
from chaos.invariants import none_failed
from chaos.site import Site
from chaos.verdict import Verdict

SLOW = 500
PAUSE = 0.5  # seconds between two bytes
TIMEOUT = "3s"
LIMITS = f"headerTimeout: {TIMEOUT}, bodyTimeout: {TIMEOUT}"
# The time-out is of a whole head, or between a body's pieces with a least rate.
MOST = 10.0  # seconds
PATIENCE = 60.0  # seconds for all of them to be closed, on a busy machine


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed(), limits=LIMITS) as site:
        site.backend("b0")
        await site.ready(1)
        async with bench.load(site, site.caller(50.0)) as load:
            await bench.wait(3.0)
            with bench.fault(f"{SLOW} clients send byte by byte"):
                slow = [asyncio.create_task(_drip(site, number)) for number in range(SLOW)]
                async with asyncio.timeout(PATIENCE):
                    seconds = await asyncio.gather(*slow)
            await bench.wait(2.0)
    bench.hold(
        none_failed(load.history, "nobody else failed"),
        Verdict(
            max(seconds) <= MOST,
            "slow clients were all cut off",
            f"after {min(seconds):.1f} to {max(seconds):.1f} s",
            f"≤ {MOST:g} s",
            timed=True,
        ),
    )


async def _drip(site: Site, number: int) -> float:
    """Sends half of a head, or a head and half of a body; the seconds until it was cut off."""
    host, port = site.gateway.address("http").split(":")
    token = site.gateway.token("infer:*")
    reader, writer = await asyncio.open_connection(host, int(port))
    begun = asyncio.get_running_loop().time()
    writer.write(b"POST /v2/models/timed/infer HTTP/1.1\r\nhost: x\r\n")
    if number % 2:
        writer.write(f"authorization: Bearer {token}\r\ncontent-length: 1000\r\n\r\n".encode())
    else:
        writer.write(b"x-slow: ")
    told = asyncio.create_task(_read(reader))
    try:
        while not told.done():
            writer.write(b"1")
            await asyncio.wait({told}, timeout=PAUSE)
    finally:
        writer.close()
    return told.result() - begun


async def _read(reader: asyncio.StreamReader) -> float:
    """When nothing more comes."""
    with suppress(ConnectionError):  # closed while bytes were on their way
        await reader.read()
    return asyncio.get_running_loop().time()


EXPERIMENT = Experiment("slow-clients", 4, "five hundred clients send byte by byte", run)
