"""One of two gateways restarts with an empty table, several times, while the other one serves."""

import asyncio

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
LOOK = 0.02


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
            await bench.wait(2.0, short=0.3)
            for _ in range(1 if bench.short else 3):
                with bench.fault("the second gateway restarts"):
                    await process.finish(restarted.gateway)
                    restarted.start_gateway()
                    took.append(await _from_first_beat_to_first_answer(restarted))
                await bench.wait(2.0, short=0.3)
            await site.until(lambda: site.states(1) == ["ready"] * BACKENDS, "both to be known")
    bench.hold(
        none_failed(load.history, "no request failed at the other gateway"),
        within(took, PROMISED, "serves after its first beats"),
    )


async def _from_first_beat_to_first_answer(mesh: Mesh) -> float:
    """Seconds. Raises TimeoutError if it never serves."""
    headers = {"authorization": f"Bearer {mesh.token('infer:*')}"}
    loop = asyncio.get_running_loop()
    beaten = 0.0
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(headers=headers) as client:
        while True:
            if not beaten and await asyncio.to_thread(lambda: bool(mesh.endpoints())):
                beaten = loop.time()
            try:
                reply = await client.post(mesh.url + PATH, content=body(0))
                if reply.status_code == 200:
                    return loop.time() - beaten if beaten else 0.0
            except httpx.TransportError:
                pass
            await asyncio.sleep(LOOK)


EXPERIMENT = Experiment(
    "gateway-restarted", 5, "A gateway restarts with an empty table beside another", run
)
