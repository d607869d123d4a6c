"""Two thousand connections at once, each with a request, beside clients who were there before."""

import asyncio
from collections import Counter

from chaos.experiment import Bench, Experiment
from chaos.invariants import none_failed
from chaos.load import body
from chaos.verdict import Verdict

CONNECTIONS = 2000
PATIENCE = 60.0  # seconds for all of them, on a busy machine


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed(row=0.002)) as site:
        site.backend("b0")
        await site.ready(1)
        host, port = site.gateway.address("http").split(":")
        token = site.gateway.token("infer:*", tenant="many")
        async with bench.load(site, site.caller(20.0)) as load:
            await bench.wait(2.0)
            with bench.fault(f"{CONNECTIONS} connections at once"):
                async with asyncio.timeout(PATIENCE):
                    statuses = await asyncio.gather(
                        *(_ask(host, int(port), token, number) for number in range(CONNECTIONS))
                    )
            after = bench.now()
            await bench.wait(3.0)
    counts = Counter(statuses)
    bench.hold(
        none_failed(load.history, "nobody else failed"),
        Verdict(
            counts[200] >= len(statuses) / 2,
            "most of them were served",
            f"{counts[200]} of {len(statuses)}",
            "half",
            timed=True,
        ),
        Verdict(
            set(counts) <= {200, 429, 503},
            "each connection was answered",
            ", ".join(f"{count} × {status}" for status, count in counts.most_common()),
            "200, or refused",
        ),
    )
    bench.figure("p99 after", f"{load.history.between(after, 1e9).quantile(0.99) * 1e3:.0f} ms")


async def _ask(host: str, port: int, token: str, number: int) -> int:
    """The status; 0 if the connection was refused or closed without one."""
    content = body(number)
    head = (
        f"POST /v2/models/timed/infer HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n"
        f"authorization: Bearer {token}\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(head.encode() + content)
        said = await reader.read()
        writer.close()
    except OSError:
        return 0
    return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.1 ") else 0


EXPERIMENT = Experiment("connections-at-once", 4, "two thousand connections at once", run)
