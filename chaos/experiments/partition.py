"""Gateway and backends are apart for as long as a lease lasts, and together again."""

import asyncio

from chaos.experiment import Bench, Experiment
from chaos.faults.packets import dropped, to_and_from
from chaos.invariants import attempts_bounded, no_server_error, nobody_evicted, none_failed
from chaos.ports import free_ports
from chaos.probe import Need
from chaos.verdict import Verdict

BACKENDS = 3
RATE = 40.0


async def run(bench: Bench) -> None:
    ports = free_ports(BACKENDS)
    async with bench.site(bench.timed()) as site:
        for number, port in enumerate(ports):
            site.backend(f"b{number}", "--listen", f"127.0.0.1:{port}")
        await site.ready(BACKENDS)
        apart = to_and_from(*ports, site.gateway.ports["discovery"])
        async with bench.load(site, site.caller(RATE, timeout=10.0)) as load:
            await bench.wait(4.0)
            with bench.fault("gateway and backends are apart"), dropped(apart):
                await asyncio.sleep(5.0)  # also in short: the promise is about leases
            healed = bench.now()
            await bench.wait(10.0)
        evictions = site.evictions
    first = min(each.done - healed for each in load.history.of("answered") if each.done > healed)
    later = load.history.between(healed + 3.0, float("inf"))
    executions = site.executions(bench.began)
    bench.hold(
        none_failed(later, "no request failed when they were together again"),
        no_server_error(load.history, but=(503, 504)),
        nobody_evicted(evictions),
        attempts_bounded(load.history, executions),
        Verdict(first <= 2.0, "answers again", f"after {first:.1f} s", "≤ 2 s", timed=True),
    )
    told = load.history.outcomes()
    bench.figure("all requests", ", ".join(f"{n} {what}" for what, n in told.items()))


EXPERIMENT = Experiment(
    "partition",
    5,
    "gateway and backends are apart for five seconds",
    run,
    needs=(Need.NAMESPACE,),
)
