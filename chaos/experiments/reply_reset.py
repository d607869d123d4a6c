"""Connections to one of three backends are reset in the middle of a reply, again and again."""

import asyncio

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy, Toxics
from chaos.felt import felt, repeated
from chaos.invariants import attempts_bounded, no_request_executed_over, none_failed

BACKENDS = 3
RATE = 60.0
BYTES = 2000  # of replies on a connection: the handshake and some calls, and one in its middle
EVERY = 1.0  # seconds that a connection is left alone


async def run(bench: Bench) -> None:
    async with FaultProxy() as proxy, bench.site(bench.timed()) as site:
        site.backends(BACKENDS - 1)
        site.backend("resets", behind=proxy)
        await site.ready(BACKENDS)
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(2.0)
            with bench.fault("replies are reset half-way"):
                for number in range(15):
                    # The connections that there are have passed so much, so the next reply is cut.
                    proxy.down = Toxics(reset_after=BYTES + number)
                    await asyncio.sleep(EVERY / 2)
                    proxy.heal()
                    await asyncio.sleep(EVERY / 2)
            await bench.wait(2.0)
    executions = site.executions(bench.began)
    bench.hold(
        none_failed(load.history),
        no_request_executed_over(executions),
        attempts_bounded(load.history, executions),
        felt("replies were reset half-way", proxy.did.resets),
        repeated(executions),
    )
    bench.figure("connections that were made", f"{proxy.accepted}")


EXPERIMENT = Experiment(
    "reply-reset", 2, "replies of one of three backends are reset half-way", run
)
