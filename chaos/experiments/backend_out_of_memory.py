"""One of three backends grows over its memory, and the kernel kills it."""

from chaos.experiment import Bench, Experiment
from chaos.faults import cgroup
from chaos.invariants import no_request_executed_over, none_failed
from chaos.probe import Need
from chaos.verdict import Verdict

BACKENDS = 3
RATE = 60.0
MOST = 400 * 1024 * 1024  # bytes
EATEN = 100 * 1024 * 1024  # bytes, with each batch


async def run(bench: Bench) -> None:
    model = bench.timed()
    async with bench.site(model) as site:
        victim = site.backends(BACKENDS)[-1]
        victim.may_end = True
        await site.ready(BACKENDS)
        with cgroup.memory(victim.pid, MOST):
            async with bench.load(site, site.caller(RATE)) as load:
                await bench.wait(3.0)
                with bench.fault("a backend eats its memory"):
                    model.order(f"eat={EATEN}", only=victim)
                    await site.until(lambda: victim.status is not None, "the kernel to kill it")
                await bench.wait(5.0)
    bench.hold(
        none_failed(load.history),
        no_request_executed_over(site.executions(bench.began)),
        Verdict(victim.status == -9, "killed by the kernel", f"{victim.status}", "-9"),
    )


EXPERIMENT = Experiment(
    "backend-out-of-memory",
    1,
    "one of three backends grows over its memory",
    run,
    needs=(Need.MEMORY_CGROUP,),
)
