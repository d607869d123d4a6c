"""SIGSTOP of one of three backends: its sockets stay open, and nothing says that it is gone.

What is in flight there waits until it goes on. Everybody else must not go there any more: after a
second of silence it gets no new calls.
"""

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.invariants import everybody_was_answered_by, no_request_executed_over, none_failed

BACKENDS = 3
SHARE = 0.5
SILENCE = 1.0  # seconds after which a backend with work that says nothing gets no more


async def run(bench: Bench) -> None:
    model = bench.timed(0.02)
    async with bench.site(model) as site:
        *_, victim = site.backends(BACKENDS)
        await site.ready(BACKENDS)
        load = bench.load(site, site.caller(SHARE * BACKENDS * model.capacity))
        async with load:
            await bench.wait(3.0, short=0.5)
            hung = bench.now()
            with bench.fault("b2 is stopped"), process.stopped(victim):
                await bench.wait(8.0, short=2.5)
            healed = bench.now()
            await site.ready(BACKENDS)
            await bench.wait(4.0, short=0.5)
    executions = site.executions(bench.began)
    bench.hold(none_failed(load.history), no_request_executed_over(executions))
    during = load.history.between(hung + SILENCE + 0.5, healed - 0.5)
    bench.hold(everybody_was_answered_by(during, 1.0, what="nobody waits for a silent one"))
    stuck = [each for each in load.history if hung - 0.2 <= each.planned < healed]
    waited = sum(each.seconds > 1.0 for each in stuck)
    bench.figure("waited for over 1 s", f"{waited} of {len(stuck)} that came during it")


EXPERIMENT = Experiment(
    "backend-hung", 1, "SIGSTOP of one of three backends at half load", run, short=True
)
