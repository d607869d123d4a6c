"""A backend is told to drain while its queue is full: it finishes what it has, then goes."""

from chaos.experiment import Bench, Experiment
from chaos.invariants import no_request_executed_over, none_failed
from chaos.verdict import Verdict

ROW = 0.05  # seconds; so that there is a queue
RATE = 30.0


async def run(bench: Bench) -> None:
    model = bench.timed(row=ROW, rows=1)
    async with bench.site(model) as site:
        backends = {name: site.backend(name) for name in ("stays", "goes")}
        await site.ready(2)
        backends["goes"].may_end = True
        load = bench.load(site, site.caller(RATE))
        async with load:
            await bench.wait(3.0)
            told = bench.step("the administrator drains a backend")
            site.gateway.drain("goes")
            took = await site.until(lambda: backends["goes"].status is not None, "its end")
            await bench.wait(2.0)
        left = site.counter("penstock_endpoints_left_total")
        executions = site.executions(bench.began)
    goer = str(backends["goes"].pid)
    last = max((each.at for each in executions if each.instance == goer), default=0.0)
    bench.hold(
        none_failed(load.history),
        no_request_executed_over(executions, most=1),
        Verdict(
            backends["goes"].status == 0 and left == 1,
            "it said goodbye and ended well",
            f"status {backends['goes'].status}",
            "0",
        ),
    )
    bench.figure("until it had ended", f"{took:.1f} s")
    bench.figure("its last work was begun", f"{max(0.0, last - told):.1f} s after it was told")


EXPERIMENT = Experiment("backend-drained", 7, "A backend with a queue is told to drain", run)
