"""Clients' connections are reset in the middle of their bodies and replies, and half-closed."""

import asyncio
import itertools
from contextlib import suppress

from chaos.experiment import Bench, Experiment
from chaos.faults.descriptors import opened
from chaos.faults.proxy import FaultProxy, Toxics
from chaos.invariants import no_request_executed_over, none_failed
from chaos.load import body
from chaos.site import Site
from chaos.verdict import Verdict

RATE = 40.0
HALF_CLOSED = 20
OTHERS = 1_000_000  # numbers of requests from here on are those of clients that break


async def run(bench: Bench) -> None:
    async with FaultProxy() as proxy, bench.site(bench.timed()) as site:
        site.backends(2)
        await site.ready(2)
        proxy.target = site.gateway.ports["http"]
        gateway = site.gateway.gateway
        target = f"http://{proxy.address}"
        bad = bench.load(
            site,
            site.caller(RATE),
            name="reset",
            targets=[target],
            fresh=True,
            numbers=itertools.count(OTHERS),
        )
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(1.0)
            before = opened(gateway)
            with bench.fault("connections are reset half-way"):
                async with bad:
                    for _ in range(20):
                        proxy.up = Toxics(reset_after=bench.rng.randrange(1, 900))
                        proxy.down = Toxics(reset_after=bench.rng.randrange(1, 400))
                        await asyncio.sleep(0.3)
            with bench.fault("clients say that they will say no more"):
                answers = await asyncio.gather(
                    *(_half_closed(site, number) for number in range(HALF_CLOSED))
                )
            freed = await site.until(lambda: opened(gateway) <= before + 5, "descriptors")
            await bench.wait(1.0)
    lost = bad.history.of("lost", "cut")
    answered = sum(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    bench.hold(
        none_failed(load.history, "nobody else failed"),
        no_request_executed_over(site.executions(bench.began)),
        Verdict(
            len(lost) > 0, "connections were reset", f"{len(lost)} of {len(bad.history)}", "> 0"
        ),
        Verdict(
            answered in (0, HALF_CLOSED),
            "half-closed clients are all treated alike",
            f"{answered} of {HALF_CLOSED} answered",
            "all or none",
        ),
    )
    bench.figure("descriptors free again", f"after {freed:.1f} s")


async def _half_closed(site: Site, number: int) -> bytes:
    """What is answered to a client that closes its side behind its request, as if it had gone."""
    host, port = site.gateway.address("http").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    asked = body(2 * OTHERS + number)
    writer.write(
        b"POST /v2/models/timed/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        + f"authorization: Bearer {site.gateway.token('infer:*')}\r\n".encode()
        + f"content-length: {len(asked)}\r\n\r\n".encode()
        + asked
    )
    writer.write_eof()
    try:
        async with asyncio.timeout(10.0):
            with suppress(ConnectionError):
                return await reader.read()
    finally:
        writer.close()
    return b""


EXPERIMENT = Experiment("clients-reset", 3, "clients' connections are reset half-way", run)
