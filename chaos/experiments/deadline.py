"""Requests that ask for an answer within 300 ms, of backends that have more to do than they can.

One deadline spans the gateway's queue, all attempts and the backend's queue: whoever isn't answered
in time is told so in time, and nothing begins for somebody whose time is over.
"""

from chaos.experiment import Bench, Experiment
from chaos.invariants import everybody_was_answered_by, no_request_executed_over, replies_are_whole
from chaos.verdict import Verdict
from chaos.work import nothing_began_after

BACKENDS = 2
ROW = 0.04  # seconds
OVER = 2.0  # times what the backends can do
DEADLINE = 0.3  # seconds


async def run(bench: Bench) -> None:
    model = bench.timed(ROW, rows=1)
    async with bench.site(model, settings="fairness: {mode: observe}\n") as site:
        site.backends(BACKENDS)
        await site.ready(BACKENDS)
        rate = OVER * BACKENDS * model.capacity
        async with bench.load(site, site.caller(rate, timeout=DEADLINE)) as load:
            await bench.wait(4.0)
            with bench.fault("three batches in ten fail"):
                model.order("fail=0.3")
                await bench.wait(4.0)
    history, executions = load.history, site.executions(bench.began)
    outcomes = {each.status for each in history}
    bench.hold(
        replies_are_whole(history),
        everybody_was_answered_by(history, DEADLINE, slack=0.2),
        nothing_began_after(DEADLINE, history, executions, slack=0.05),
        nothing_began_after(DEADLINE, history, executions, slack=2.0),
        no_request_executed_over(executions),
        Verdict(504 in outcomes, "deadlines passed", f"{sorted(outcomes)}", "504 among them"),
    )
    late = sum(each.status == 504 for each in history)
    bench.figure("told that it is too late", f"{late} of {len(history)}")


EXPERIMENT = Experiment("deadline", 3, "deadlines of 300 ms at twice what backends can do", run)
