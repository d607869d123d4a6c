"""One of three backends answers with what is no answer: wrong shapes, names, ids, bytes.

Nobody may be told such a thing as the truth. Inference is idempotent, so requests are answered by
the others, and who talks nonsense is soon asked no more. Each kind of nonsense has a turn.
"""

import itertools
from dataclasses import replace

from chaos.experiment import Bench, Experiment
from chaos.faults.liar import NONSENSE, Liar, reply
from chaos.invariants import no_request_executed_over, none_failed, replies_are_whole
from chaos.verdict import Verdict

RATE = 90.0  # requests a second


async def run(bench: Bench) -> None:
    numbers = itertools.count(1)
    async with bench.site(bench.timed(0.01)) as site:
        site.backends(2)
        await site.ready(2)
        for what, answer in NONSENSE.items():
            async with (
                Liar(site, what.replace(" ", "-"), reply, bench.began) as liar,
                bench.load(site, site.caller(RATE), name=liar.name, numbers=numbers) as load,
            ):
                await site.until(lambda: bool(liar.calls), f"{liar.name} to be asked")
                await bench.wait(1.5)
                liar.answer = answer
                asked = len(liar.calls)
                with bench.fault(what):
                    await bench.wait(2.0)
                asked = len(liar.calls) - asked
            bench.hold(
                Verdict(asked > 0, f"{what}: it was asked", f"{asked} times", "> 0"),
                replace(replies_are_whole(load.history), what=f"{what}: nobody believes it"),
                # How much it is asked before it is known depends on how fast everything is.
                replace(none_failed(load.history, f"{what}: no request failed"), timed=True),
            )
        ejections = site.counter("penstock_ejections_total")
    bench.hold(no_request_executed_over(site.executions(bench.began), most=1))
    bench.figure("ejections", f"{ejections:.0f}")


EXPERIMENT = Experiment(
    "backend-talks-nonsense", 1, "one of three backends answers with what is no answer", run
)
