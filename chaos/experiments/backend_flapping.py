"""One of three backends is killed and started, over and over, under load."""

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.felt import killed, repeated
from chaos.invariants import no_request_executed_over, none_failed

BACKENDS = 3
RATE = 60.0  # requests a second
TIMES = 4


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed(0.02)) as site:
        victims = site.backends(BACKENDS)[-1:]
        await site.ready(BACKENDS)
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(2.0)
            for _ in range(TIMES):
                bench.step("kill -9 b2")
                process.kill(victims[-1])
                victims.append(site.backend("b2"))
                await site.ready(BACKENDS)
                bench.step("b2 is back")
                await bench.wait(1.0)
    executions = site.executions(bench.began)
    bench.hold(
        none_failed(load.history),
        no_request_executed_over(executions),
        killed([each.status for each in victims[:-1]]),
        repeated(executions),
    )
    bench.figure("repeated", f"{len(executions) - len(load.history)} of {len(load.history)}")


EXPERIMENT = Experiment("backend-flapping", 1, "a backend is killed and started over and over", run)
