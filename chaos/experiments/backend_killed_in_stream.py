"""kill -9 of a backend in the middle of its streamed replies.

What a client has read can't be taken back, so nothing is repeated once a reply has begun: the
client is told that it broke off, and who was not there goes on undisturbed.
"""

import asyncio
import json

import aiohttp

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.site import Site
from chaos.timed import NAME
from chaos.verdict import Verdict
from chaos.work import never_repeated

BACKENDS = 3
STREAMS = 12
PARTS = 40
PAUSE = 0.1  # seconds between two parts


async def run(bench: Bench) -> None:
    model = bench.timed(PAUSE, rows=1, parts=PARTS)
    async with bench.site(model) as site:
        *_, victim = site.backends(BACKENDS)
        await site.ready(BACKENDS)
        reading = [asyncio.create_task(_read(site, number)) for number in range(1, STREAMS + 1)]
        asked = {each + 1 for each in range(STREAMS)}
        await site.until(
            lambda: any(each.instance == str(victim.pid) for each in site.executions(bench.began)),
            "the victim to stream",
        )
        await asyncio.sleep(5 * PAUSE)
        bench.step("kill -9 b2")
        there = {e.number for e in site.executions(bench.began) if e.instance == str(victim.pid)}
        process.kill(victim)
        ends = await asyncio.gather(*reading)
    executions = site.executions(bench.began)
    broken = {number for number, (parts, error) in enumerate(ends, 1) if error and parts}
    whole = {number for number, (parts, error) in enumerate(ends, 1) if parts == PARTS}
    bench.hold(
        Verdict(bool(there), "some were in the middle", f"{len(there)} of {STREAMS}", "> 0"),
        Verdict(
            there <= broken | whole and broken <= there,
            "whose reply had begun is told that it broke off",
            f"{len(broken)} told of {len(there)}",
            "all of them, and nobody else",
        ),
        Verdict(
            asked - there <= whole,
            "whose backend lives reads on",
            f"{len(whole)} read all {PARTS} parts",
            f"{len(asked - there)} or more",
        ),
        never_repeated(executions, broken, "nothing is repeated once a reply has begun"),
    )


async def _read(site: Site, number: int) -> tuple[int, str]:
    """How many parts came, and what was said in the place of others."""
    caller = site.caller(0.0)
    headers = {"authorization": f"Bearer {caller.token}"}
    url = f"{site.gateway.url}/v2/models/{NAME}/generate_stream"
    parts, error = 0, ""
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json={"number": number}) as reply,
    ):
        async for line in reply.content:
            if not line.startswith(b"data: "):
                continue
            said = json.loads(line.removeprefix(b"data: "))
            error = error or said.get("error", "")
            parts += "number" in said
    return parts, error


EXPERIMENT = Experiment(
    "backend-killed-in-stream", 1, "kill -9 of a backend in the middle of streamed replies", run
)
