"""SIGSTOP of one of three backends: its sockets stay open, and nothing says that it is gone.

What is in flight there waits until it goes on. Everybody else must not go there any more: after a
second of silence it gets no new calls. Two things see to that, and either is enough here: that the
silent are asked no more, and what picking reckons for calls that have been stuck.
"""

import asyncio

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.felt import felt
from chaos.invariants import everybody_was_answered_by, no_request_executed_over, none_failed
from chaos.verdict import Verdict

BACKENDS = 3
SHARE = 0.5
SILENCE = 1.0  # seconds after which a backend with work that says nothing gets no more
BUSY = range(100_000, 100_024)  # numbers of requests at once before it, so that some are in it
FEW = 0.05  # of the requests, where a busy machine has let the first of them come late


async def run(bench: Bench) -> None:
    model = bench.timed(0.02)
    async with bench.site(model) as site:
        *_, victim = site.backends(BACKENDS)
        await site.ready(BACKENDS)
        load = bench.load(site, site.caller(SHARE * BACKENDS * model.capacity))
        async with load:
            await bench.wait(3.0, short=0.5)
            caller = site.caller(0.0)
            caught = asyncio.gather(*(load.ask(caller, number) for number in BUSY))
            await asyncio.sleep(2 * model.row)
            hung = bench.now()
            with bench.fault("b2 is stopped"), process.stopped(victim):
                await bench.wait(8.0, short=2.5)
                healed = bench.now()
            await caught
            await site.ready(BACKENDS)
            await bench.wait(4.0, short=0.5)
    executions = site.executions(bench.began)
    during = load.history.between(hung + SILENCE + 0.5, healed - 0.5)
    on_it = {each.number for each in executions if each.instance == str(victim.pid)}
    held = [each for each in load.history if each.sent < hung + SILENCE and each.done > healed]
    waited_in_it = sum(each.number in on_it for each in held)
    sent = sum(each.number in on_it for each in during)
    bench.hold(
        none_failed(load.history),
        no_request_executed_over(executions),
        felt("requests waited in it", waited_in_it),
        Verdict(
            len(during) > 0 and sent <= FEW * len(during),
            "hardly any is sent to a silent one",
            f"{sent} of {len(during)}",
            f"≤ {FEW:.0%}",
        ),
        everybody_was_answered_by(during, 1.0, what="nobody waits for a silent one"),
    )
    stuck = [each for each in load.history if hung - 0.2 <= each.planned < healed]
    waited = sum(each.seconds > 1.0 for each in stuck)
    bench.figure("waited for over 1 s", f"{waited} of {len(stuck)} that came during it")


EXPERIMENT = Experiment(
    "backend-hung", 1, "SIGSTOP of one of three backends at half load", run, short=True
)
