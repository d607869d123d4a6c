"""The beats of two of six backends get lost for several leases; all six still answer."""

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy, Toxics
from chaos.invariants import nobody_evicted, none_failed
from chaos.verdict import Verdict

BACKENDS, SILENT = 6, 2
RATE = 60.0
LEASE = 4.0  # so long that both are missing before the first one's lease is over


async def run(bench: Bench) -> None:
    model = bench.timed()
    settings = f"discovery: {{lease: {LEASE:g}s}}\n"
    async with (
        bench.site(model, settings=settings) as site,
        FaultProxy(site.gateway.ports["discovery"]) as between,
    ):
        for number in range(BACKENDS):
            site.backend(f"b{number}", join=between.address if number < SILENT else "")
        await site.ready(BACKENDS)
        load = bench.load(site, site.caller(RATE))
        async with load:
            await bench.wait(2.0, short=0.3)
            with bench.fault("a third of the beats get lost"):
                between.both(Toxics(swallow=True))
                await bench.wait(4 * LEASE, short=LEASE + 2.0)
                during = await site.seen()
            between.heal()
            await between.cut()
            healed = await site.until(lambda: site.states() == ["ready"] * BACKENDS, "beats")
            await bench.wait(2.0, short=0.3)
        bench.hold(
            none_failed(load.history),
            nobody_evicted(site.evictions),
            Verdict(
                during == ["suspect"] * SILENT + ["ready"] * (BACKENDS - SILENT),
                "who is silent is suspect, and known",
                ", ".join(during),
            ),
        )
    bench.figure("from the end of the fault until all beat again", f"{healed:.1f} s")


EXPERIMENT = Experiment(
    "beats-of-some-lost", 5, "A third of the expected beats is lost at once", run, short=True
)
