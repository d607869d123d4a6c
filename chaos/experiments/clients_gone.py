"""Half of the clients go away while their requests wait in a backend's queue.

Their work must leave the queue with them: within 100 ms nothing begins for them any more.
"""

from chaos.experiment import Bench, Experiment
from chaos.invariants import no_request_executed_over, replies_are_whole
from chaos.verdict import Verdict
from chaos.work import nothing_began_for_who_left

ROW = 0.05  # seconds
OVER = 1.8  # times what the backend can do, so that requests wait
LEAVE = 0.5  # of the clients
WITHIN = 0.1  # seconds


async def run(bench: Bench) -> None:
    model = bench.timed(ROW, rows=1)
    async with bench.site(model, settings="fairness: {mode: observe}\n") as site:
        site.backend("b0")
        await site.ready(1)
        caller = site.caller(OVER * model.capacity, timeout=5.0)
        load = bench.load(site, caller, leave=LEAVE, leave_within=1.0)
        async with load:
            with bench.fault("half of the clients go away"):
                await bench.wait(10.0)
    executions = site.executions(bench.began)
    gone = {each.number for each in load.history if each.left}
    spared = gone - {each.number for each in executions}
    bench.hold(
        replies_are_whole(load.history),
        nothing_began_for_who_left(load.history, executions, WITHIN),
        nothing_began_for_who_left(load.history, executions, 2.0),
        no_request_executed_over(executions, most=1),
        Verdict(len(spared) > 0, "work is spared", f"{len(spared)} of {len(gone)}", "> 0"),
    )


EXPERIMENT = Experiment("clients-gone", 3, "clients go away while their requests wait", run)
