"""Backends killed with requests in flight at five requests a second.

So few requests earn next to no retries, so what was lost must be paid from the reserve. They take
long and come one to a batch: at each kill some are on the device.
"""

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.invariants import no_request_executed_over, none_failed

BACKENDS = 3
RATE = 5.0  # requests a second
ROW = 0.3  # seconds
KILLS = 4


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed(ROW, rows=1)) as site:
        victims = site.backends(BACKENDS)
        await site.ready(BACKENDS)
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(2.0)
            for kill in range(1 if bench.short else KILLS):
                number = kill % BACKENDS
                bench.step(f"kill -9 b{number}")
                process.kill(victims[number])
                await bench.wait(1.5)
                victims[number] = site.backend(f"b{number}")
                await site.ready(BACKENDS)
    executions = site.executions(bench.began)
    bench.hold(none_failed(load.history), no_request_executed_over(executions))
    bench.figure("repeated after a loss", f"{len(executions) - len(load.history)} requests")


EXPERIMENT = Experiment(
    "backend-killed-when-quiet", 1, "kill -9 with requests in flight, at 5 requests/s", run
)
