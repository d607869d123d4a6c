"""One of two gateways restarts with an empty table, several times, while the other one serves."""

import asyncio
from contextlib import suppress

import httpx

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.invariants import none_failed, within
from chaos.load import PATH, body
from chaos.mesh import Mesh
from chaos.processes import PATIENCE

BACKENDS = 2
RATE = 60.0
PROMISED = 2.0  # seconds from its first beats
LOOK = 0.02  # seconds between two looks
WAIT = 1.0  # seconds that one request waits, so that one that is stuck hides no answer


async def run(bench: Bench) -> None:
    model = bench.timed()
    async with bench.site(model, gateways=2) as site:
        for number in range(BACKENDS):
            site.backend(f"b{number}")
        await site.ready(BACKENDS)
        restarted = site.gateways[1]
        load = bench.load(site, site.caller(RATE), targets=[site.gateway.url])
        took = []
        async with load:
            await bench.wait(2.0)
            for _ in range(3):
                with bench.fault("the second gateway restarts"):
                    await process.finish(restarted.gateway)
                    restarted.start_gateway()
                    took.append(await from_first_beat_to_first_answer(restarted))
                await bench.wait(2.0)
            await site.until(lambda: site.states(1) == ["ready"] * BACKENDS, "both to be known")
    bench.hold(
        none_failed(load.history, "no request failed at the other gateway"),
        within(took, PROMISED, "serves after its first beats"),
    )


async def from_first_beat_to_first_answer(mesh: Mesh) -> float:
    """Seconds at most: they count from the last look that saw no beat.

    Beats are looked for while a request waits. Raises TimeoutError if it never serves.
    """
    loop = asyncio.get_running_loop()
    unseen = loop.time()

    async def look() -> None:
        nonlocal unseen
        while True:
            begun = loop.time()
            if await asyncio.to_thread(mesh.endpoints):
                return
            unseen = begun
            await asyncio.sleep(LOOK)

    looking = loop.create_task(look())
    try:
        async with asyncio.timeout(PATIENCE):
            answered = await _first_answer(mesh)
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    return answered - unseen


async def _first_answer(mesh: Mesh) -> float:
    """When it came, on the loop's clock."""
    headers = {"authorization": f"Bearer {mesh.token('infer:*')}"}
    async with httpx.AsyncClient(headers=headers, timeout=WAIT) as client:
        while True:
            with suppress(httpx.TransportError):
                reply = await client.post(mesh.url + PATH, content=body(0))
                if reply.status_code == 200:
                    return asyncio.get_running_loop().time()
            await asyncio.sleep(LOOK)


EXPERIMENT = Experiment(
    "gateway-restarted", 5, "A gateway restarts with an empty table beside another", run
)
