"""A new backend is killed while it loads its model, as one that takes more memory than there is.

Whoever starts backends will start it again and again. Nothing may ever be sent there, and those
that serve must not notice.
"""

from functools import partial

from chaos.experiment import Bench, Experiment
from chaos.invariants import no_request_executed_over, none_failed
from chaos.processes import Process
from chaos.verdict import Verdict

BACKENDS = 2
RATE = 50.0  # requests a second
TIMES = 3


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed(0.02)) as site:
        site.backends(BACKENDS)
        await site.ready(BACKENDS)
        heavy = bench.timed(0.02, name="heavy")
        heavy.order("die")
        async with bench.load(site, site.caller(RATE)) as load:
            for _ in range(TIMES):
                with bench.fault("a backend dies while it loads"):
                    dying = site.backend("b2", model=heavy)
                    dying.may_end = True
                    await site.until(partial(_ended, dying), "b2 to die")
            died = dying.status
            heavy.order()
            site.backend("b2", model=heavy)
            await site.ready(1, model="heavy")
            bench.step("it loads")
            await bench.wait(2.0)
    bench.hold(
        Verdict(died == -9, "it was killed", f"status {died}", "-9"),
        none_failed(load.history),
        no_request_executed_over(site.executions(bench.began), most=1),
    )


def _ended(process: Process) -> bool:
    return process.status is not None


EXPERIMENT = Experiment(
    "backend-dies-at-start", 1, "a backend is killed while it loads, over and over", run
)
