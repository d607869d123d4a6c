"""kill -9 of one of three backends at half of what they can do."""

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.felt import felt, killed
from chaos.invariants import latency_back, no_request_executed_over, none_failed

BACKENDS = 3
# Most of a batch's time is its own, so two devices have room for three's half, as real ones do.
ROW, BATCH = 0.002, 0.032  # seconds
SHARE = 0.5  # of what the backends can do


async def run(bench: Bench) -> None:
    model = bench.timed(ROW, batch=BATCH)
    async with bench.site(model) as site:
        *_, victim = site.backends(BACKENDS)
        await site.ready(BACKENDS)
        load = bench.load(site, site.caller(SHARE * BACKENDS * model.capacity))
        async with load:
            await bench.wait(6.0, short=1.0)
            at = bench.step("kill -9 b2")
            process.kill(victim)
            await bench.wait(9.0, short=1.5)
            ended = bench.now()
    executions = site.executions(bench.began)
    there = [each for each in executions if each.instance == str(victim.pid)]
    bench.hold(
        none_failed(load.history),
        no_request_executed_over(executions),
        killed([victim.status]),
        felt("requests went there until then", len(there)),
    )
    if not bench.short:
        before = load.history.between(1.0, at)
        after = load.history.between(at + 3.0, ended)
        bench.hold(latency_back(before, after, ratio=1.5))
    bench.figure(
        "slowest while it was lost",
        f"{load.history.between(at - 0.5, at + 3.0).quantile(1.0) * 1e3:.0f} ms",
    )


EXPERIMENT = Experiment(
    "backend-killed", 1, "kill -9 of one of three backends at half load", run, short=True
)
