"""The ways from three backends to discovery are broken for 60 % of the time, each by itself."""

import asyncio
import random
from contextlib import AsyncExitStack

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy
from chaos.invariants import nobody_evicted, none_failed

BACKENDS = 3
RATE = 60.0
LEASE = 3.0
DROPPED = 0.6
EACH = 0.5  # seconds that one throw of the dice holds


async def run(bench: Bench) -> None:
    model = bench.timed()
    settings = f"discovery: {{lease: {LEASE:g}s}}\n"
    async with bench.site(model, settings=settings) as site, AsyncExitStack() as stack:
        ways = []
        for number in range(BACKENDS):
            way = await stack.enter_async_context(FaultProxy(site.gateway.ports["discovery"]))
            site.backend(f"b{number}", join=way.address)
            ways.append(way)
        await site.ready(BACKENDS)
        load = bench.load(site, site.caller(RATE))
        dropped = throws = 0
        dice = random.Random(bench.seed)  # of their own: others' throws don't change the pattern
        async with load:
            await bench.wait(2.0)
            with bench.fault(f"{DROPPED:.0%} of the beats get lost"):
                end = bench.now() + 7.0 * LEASE
                while bench.now() < end:
                    for way in ways:
                        drop = dice.random() < DROPPED
                        dropped, throws = dropped + drop, throws + 1
                        await (_broken(way) if drop else way.accept())
                    await asyncio.sleep(EACH)
            for way in ways:
                await way.accept()
            healed = await site.until(lambda: site.states() == ["ready"] * BACKENDS, "beats")
        bench.hold(none_failed(load.history), nobody_evicted(site.evictions))
    bench.figure("time in which beats were dropped", f"{dropped / throws:.0%}")
    bench.figure("from the end of the fault until all beat again", f"{healed:.1f} s")


async def _broken(way: FaultProxy) -> None:
    await way.refuse()
    await way.cut()


EXPERIMENT = Experiment("beats-dropped", 5, "60 % of the beats of three backends get lost", run)
