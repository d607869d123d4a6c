"""The link to one of three backends comes and goes twice a second."""

import asyncio

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy
from chaos.felt import felt
from chaos.invariants import attempts_bounded, no_request_executed_over, none_failed

BACKENDS = 3
RATE = 60.0
PAUSE = 0.25  # seconds
TIMES = 30


async def run(bench: Bench) -> None:
    async with FaultProxy() as proxy, bench.site(bench.timed()) as site:
        site.backends(BACKENDS - 1)
        site.backend("flapping", behind=proxy)
        await site.ready(BACKENDS)
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(2.0)
            with bench.fault("connections are reset and refused, twice a second"):
                for _ in range(TIMES):
                    await proxy.refuse()
                    await proxy.cut(reset=True)
                    await asyncio.sleep(PAUSE)
                    await proxy.accept()
                    await asyncio.sleep(PAUSE)
            await bench.wait(2.0)
    executions = site.executions(bench.began)
    bench.hold(
        none_failed(load.history),
        no_request_executed_over(executions),
        attempts_bounded(load.history, executions),
        felt("connections were reset", proxy.did.cuts, TIMES / 4),
    )
    bench.figure("connections that were made", f"{proxy.accepted}")


EXPERIMENT = Experiment("link-flapping", 1, "the link to one of three backends flaps", run)
