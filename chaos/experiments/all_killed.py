"""Every backend is killed at once under load, and started again later."""

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.history import History
from chaos.invariants import (
    attempts_bounded,
    everybody_was_answered_by,
    no_request_executed_over,
    none_failed,
    refusals_say_when,
    replies_are_whole,
)
from chaos.verdict import Verdict

BACKENDS = 3
RATE = 60.0  # requests a second


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed(0.02)) as site:
        victims = site.backends(BACKENDS)
        await site.ready(BACKENDS)
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(3.0)
            killed = bench.now()
            with bench.fault("all backends are dead"):
                for victim in victims:
                    process.kill(victim)
                await bench.wait(5.0)
                restarted = bench.now()
                site.backends(BACKENDS)
                await site.ready(BACKENDS)
            healed = bench.step("they are back")
            await bench.wait(4.0)
            ended = bench.now()
    executions = site.executions(bench.began)
    dead = load.history.between(killed + 0.2, restarted)
    bench.hold(
        replies_are_whole(load.history),
        _refused(dead),
        refusals_say_when(load.history),
        everybody_was_answered_by(dead, 1.0, what="refusals don't keep anybody waiting"),
        attempts_bounded(load.history, executions),
        no_request_executed_over(executions),
        none_failed(load.history.between(healed + 0.5, ended), "all is well again"),
    )
    bench.figure("a refusal takes", f"{dead.quantile(0.5) * 1e3:.1f} ms (p50)")


def _refused(dead: History) -> Verdict:
    refused = len(dead.of("refused"))
    told = f"{refused} of {len(dead)}"
    return Verdict(0 < refused == len(dead), "while nobody is there all are refused", told, "all")


EXPERIMENT = Experiment("all-killed", 2, "all backends are killed and come back", run)
