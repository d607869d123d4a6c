"""The gateway stands still for longer than a lease, as when its machine is paused, and goes on."""

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.invariants import nobody_evicted, none_failed

RATE = 40.0
LEASE = 1.0


async def run(bench: Bench) -> None:
    model = bench.timed()
    async with bench.site(model, settings=f"discovery: {{lease: {LEASE:g}s}}\n") as site:
        for number in range(2):
            site.backend(f"b{number}")
        await site.ready(2)
        load = bench.load(site, site.caller(RATE))
        async with load:
            await bench.wait(2.0)
            for _ in range(3):
                with bench.fault("SIGSTOP of the gateway"), process.stopped(site.gateway.gateway):
                    await bench.wait(2.5 * LEASE)
                await bench.wait(3.0)
        # Who asked meanwhile waited, and was answered.
        bench.hold(none_failed(load.history), nobody_evicted(site.evictions))
    bench.figure("slowest answer", f"{load.history.quantile(1.0):.1f} s")


EXPERIMENT = Experiment(
    "gateway-paused", 5, "The gateway stands still for longer than a lease", run
)
