"""One packet in twenty is lost: between clients, gateways and backends alike."""

from chaos.experiment import Bench, Experiment
from chaos.faults.packets import dropped, some
from chaos.felt import felt
from chaos.invariants import attempts_bounded, nobody_evicted, none_failed
from chaos.probe import Need

BACKENDS = 3
RATE = 40.0
PERCENT = 5


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed()) as site:
        site.backends(BACKENDS)
        await site.ready(BACKENDS)
        counts: list[int] = []
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(3.0)
            lossy = bench.now()
            with (
                bench.fault(f"{PERCENT} % of all packets are lost"),
                dropped(some(PERCENT)) as lost,
            ):
                await bench.wait(15.0)
                ended = bench.now()
                counts.append(lost())
            await bench.wait(3.0)
        evictions = site.evictions
    executions = site.executions(bench.began)
    bench.hold(
        none_failed(load.history),
        attempts_bounded(load.history, executions),
        nobody_evicted(evictions),
        felt("packets were lost", counts[0], 20),
    )
    during = load.history.between(lossy, ended)
    for share in (0.5, 0.99):
        before, meanwhile = load.history.between(0.0, lossy).quantile(share), during.quantile(share)
        bench.figure(
            f"p{share * 100:g} before, meanwhile",
            f"{before * 1e3:.0f} ms, {meanwhile * 1e3:.0f} ms",
        )


EXPERIMENT = Experiment(
    "packets-lost",
    1,
    "one packet in twenty is lost everywhere",
    run,
    needs=(Need.NAMESPACE,),
)
