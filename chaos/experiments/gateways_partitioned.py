"""One of two gateways is cut off from all beats; both go on serving, and the other hears all."""

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy, Toxics
from chaos.invariants import nobody_evicted, none_failed
from chaos.verdict import Verdict

BACKENDS = 2
RATE = 60.0
LEASE = 2.0


async def run(bench: Bench) -> None:
    model = bench.timed()
    settings = f"discovery: {{lease: {LEASE:g}s}}\n"
    async with (
        bench.site(model, gateways=2, settings=settings) as site,
        FaultProxy(site.gateways[1].ports["discovery"]) as between,
    ):
        join = f"{site.gateway.address('discovery')},{between.address}"
        for number in range(BACKENDS):
            site.backend(f"b{number}", join=join)
        await site.ready(BACKENDS)
        load = bench.load(site, site.caller(RATE))
        async with load:
            await bench.wait(2.0)
            with bench.fault("no beats reach the second gateway"):
                between.both(Toxics(swallow=True))
                await bench.wait(5 * LEASE)
                seen = [await site.seen(number) for number in range(2)]
            between.heal()
            await between.cut()
            healed = await site.until(lambda: site.states(1) == ["ready"] * BACKENDS, "beats")
            await bench.wait(2.0)
        bench.hold(
            none_failed(load.history),
            nobody_evicted(site.evictions),
            Verdict(
                seen == [["ready"] * BACKENDS, ["suspect"] * BACKENDS],
                "each says what it hears itself",
                f"{seen}",
            ),
        )
    bench.figure("from the end of the fault until all beat again", f"{healed:.1f} s")


EXPERIMENT = Experiment("gateways-partitioned", 5, "One of two gateways hears no beats", run)
