"""The way from backends to discovery is refused, then swallows everything, for longer than a lease.

Backends and gateway reach each other on all other ports: nothing is wrong with any of them.
"""

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy, Toxics
from chaos.felt import felt
from chaos.invariants import nobody_evicted, none_failed

BACKENDS = 2
RATE = 60.0
LEASE = 2.0


async def run(bench: Bench) -> None:
    model = bench.timed()
    async with (
        bench.site(model, settings=f"discovery: {{lease: {LEASE:g}s}}\n") as site,
        FaultProxy(site.gateway.ports["discovery"]) as between,
    ):
        for number in range(BACKENDS):
            site.backend(f"b{number}", join=between.address)
        await site.ready(BACKENDS)
        load = bench.load(site, site.caller(RATE))
        async with load:
            await bench.wait(3.0, short=0.3)
            with bench.fault("discovery refuses"):
                await between.refuse()
                await between.cut()
                await bench.wait(3 * LEASE, short=LEASE + 0.5)
                refused = await site.seen()
            await between.accept()
            healed = await site.until(lambda: site.states() == ["ready"] * BACKENDS, "beats")
            if not bench.short:
                with bench.fault("discovery is a black hole"):
                    between.both(Toxics(swallow=True))
                    await bench.wait(4 * LEASE)
                    swallowed = await site.seen()
                between.heal()
                await between.cut()  # what was swallowed is missing in its streams
                await site.until(lambda: site.states() == ["ready"] * BACKENDS, "beats")
            await bench.wait(1.0, short=0.3)
        bench.hold(
            none_failed(load.history),
            nobody_evicted(site.evictions),
            felt("suspects while it refuses", refused.count("suspect"), BACKENDS),
        )
        if not bench.short:
            bench.hold(felt("suspects while it swallows", swallowed.count("suspect"), BACKENDS))
    bench.figure("from the end of the fault until all beat again", f"{healed:.1f} s")


EXPERIMENT = Experiment(
    "discovery-lost", 5, "The discovery port refuses, then is a black hole", run, short=True
)
