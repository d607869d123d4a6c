"""Every backend fails every request, each way of failing for a while.

Whatever may be repeated is repeated elsewhere, where it fails too: this is where retries multiply a
load that is too much already. What reaches the backends is counted at the backends.

What they refuse before they execute anything costs no device time, and has a reserve of its own on
top, from which the calls of a backend that drains go elsewhere all at once. Whoever hangs up is out
of service after a few attempts: that, more than the budget, bounds what follows.
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

from chaos.experiment import Bench, Experiment
from chaos.faults.liar import FAILURES, Liar, reply
from chaos.felt import felt
from chaos.invariants import (
    attempts_bounded,
    no_request_executed_over,
    none_failed,
    refusals_say_when,
)
from chaos.site import Site
from chaos.verdict import Verdict

BACKENDS = 3
RATE = 100.0  # requests a second
UNEXECUTED = ("overloaded", "unavailable")
REFUSED_AT_ONCE = 60  # the reserve, and what it regains meanwhile
FEW = 6  # so many at least reach the stand-ins before they are taken out of service
HEALED = "failed"  # after this one all is waited for that is to be well again
SHORT = ("overloaded", "torn", "hung up")  # what the short run has time for


async def run(bench: Bench) -> None:
    numbers = itertools.count(1)
    async with bench.site(bench.timed()) as site:
        for what, answer in FAILURES.items():
            if bench.short and what not in SHORT:
                continue
            # Others each time: whom the gateway has taken out of service would hide what follows.
            async with _joined(bench, site, what.replace(" ", "-")) as liars:
                async with bench.load(site, site.caller(RATE), name=what, numbers=numbers) as load:
                    await bench.wait(0.5, short=0.5)
                    failing = bench.now()
                    with bench.fault(what):
                        for liar in liars:
                            liar.answer = answer
                        await bench.wait(4.0, short=1.0)
                if what == HEALED and not bench.short:
                    for liar in liars:
                        liar.answer = reply
                    bench.hold(await _healed(bench, site, numbers))
            asked = {each.number for each in load.history}
            attempts = [call for liar in liars for call in liar.calls if call.number in asked]
            reached = sum(each.at > failing for each in attempts)
            failed = load.history.of("failed", "refused", "cut", "lost")
            extra = 3 + (REFUSED_AT_ONCE if what in UNEXECUTED else 0)
            said = f"{what}: retries stay in budget"
            bench.hold(
                attempts_bounded(load.history, attempts, extra=extra, what=said),
                no_request_executed_over(attempts),
                refusals_say_when(load.history),
                felt(f"{what}: attempts that failed", reached, FEW),
                felt(f"{what}: requests that weren't answered", len(failed), FEW),
            )
            bench.figure(what, f"{len(attempts) / max(1, len(asked)):.2f} attempts a request")


async def _healed(bench: Bench, site: Site, numbers: Iterator[int]) -> Verdict:
    """Who failed at everything is in service again, after the time for which it was ejected."""
    async with bench.load(site, site.caller(RATE), name="healed", numbers=numbers) as load:
        await bench.wait(12.0)
        healed = bench.now()
        await bench.wait(1.0)
    return none_failed(load.history.between(healed, bench.now()), "all is well again")


@asynccontextmanager
async def _joined(bench: Bench, site: Site, what: str) -> AsyncIterator[list[Liar]]:
    """As many stand-ins, who tell the truth for now; they leave at the end of the block."""
    liars = [Liar(site, f"{what}-{number}", reply, bench.began) for number in range(BACKENDS)]
    async with AsyncExitStack() as stack:
        for liar in liars:
            await stack.enter_async_context(liar)
        await site.ready(BACKENDS)
        await site.until(lambda: _serving(site, liars), "the stand-ins")
        yield liars


def _serving(site: Site, liars: list[Liar]) -> bool:
    """Whether the gateway has all of them, beside whom it may not have forgotten yet."""
    ready = {row["instance"] for row in site.gateway.endpoints() if row["state"] == "ready"}
    return ready.issuperset(liar.name for liar in liars)


EXPERIMENT = Experiment(
    "all-failing", 2, "every backend fails every request, in every way", run, short=True
)
