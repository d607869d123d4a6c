"""Every backend fails every request, each way of failing for a while.

Whatever may be repeated is repeated elsewhere, where it fails too: this is where retries multiply a
load that is too much already. What reaches the backends is counted at the backends.

What they refuse before they execute anything costs no device time, and has a reserve of its own on
top, from which the calls of a backend that drains go elsewhere all at once.
"""

import itertools
from contextlib import AsyncExitStack

from chaos.experiment import Bench, Experiment
from chaos.faults.liar import FAILURES, Liar, reply
from chaos.invariants import (
    attempts_bounded,
    no_request_executed_over,
    none_failed,
    refusals_say_when,
)

BACKENDS = 3
RATE = 100.0  # requests a second
UNEXECUTED = ("overloaded", "unavailable")
REFUSED_AT_ONCE = 60  # the reserve, and what it regains meanwhile
SHORT = ("overloaded", "torn", "hung up")  # what the short run has time for


async def run(bench: Bench) -> None:
    numbers = itertools.count(1)
    async with bench.site(bench.timed()) as site, AsyncExitStack() as joined:
        liars = [Liar(site, f"b{number}", reply, bench.began) for number in range(BACKENDS)]
        for liar in liars:
            await joined.enter_async_context(liar)
        await site.ready(BACKENDS)
        for what, answer in FAILURES.items():
            if bench.short and what not in SHORT:
                continue
            async with bench.load(site, site.caller(RATE), name=what, numbers=numbers) as load:
                with bench.fault(what):
                    for liar in liars:
                        liar.answer = answer
                    await bench.wait(4.0, short=1.0)
            attempts = [call for liar in liars for call in liar.calls]
            asked = {each.number for each in load.history}
            attempts = [each for each in attempts if each.number in asked]
            extra = 3 + (REFUSED_AT_ONCE if what in UNEXECUTED else 0)
            said = f"{what}: retries stay in budget"
            bench.hold(
                attempts_bounded(load.history, attempts, extra=extra, what=said),
                no_request_executed_over(attempts),
                refusals_say_when(load.history),
            )
            bench.figure(what, f"{len(attempts) / max(1, len(asked)):.2f} attempts a request")
            for liar in liars:
                liar.answer = reply
        async with bench.load(site, site.caller(RATE), name="healed", numbers=numbers) as load:
            await bench.wait(12.0, short=0.0)
            healed = bench.now()
            await bench.wait(1.0)
        if not bench.short:
            bench.hold(none_failed(load.history.between(healed, bench.now()), "all is well again"))


EXPERIMENT = Experiment(
    "all-failing", 2, "every backend fails every request, in every way", run, short=True
)
