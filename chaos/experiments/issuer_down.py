"""An issuer's web server is down for an hour, which passes at once for the gateway.

What is in flight when an hour passes at once is late, so nothing is asked at that moment.
"""

import asyncio

from chaos.experiment import Bench, Experiment
from chaos.faults.clock import HOUR, WallClock
from chaos.invariants import none_failed
from chaos.issuer import HANGS, Issuer, publishing
from chaos.probe import Need
from chaos.verdict import Verdict

# No backend's lease runs out in the hour.
LEASE = "discovery: {lease: 2h}\n"


async def run(bench: Bench) -> None:
    issuer = Issuer("down", refresh="5m")
    issuer.publish("key")
    clock = WallClock(bench.folder / "clock", monotonic=True)
    async with (
        publishing(bench.folder, issuer) as settings,
        bench.site(bench.timed(), settings=settings + LEASE, environment=clock.environment) as site,
    ):
        site.backend("b0")
        await site.ready(1)
        known = issuer.caller("key", 20.0)
        async with bench.load(site, known, name="before") as before:
            await bench.wait(3.0)
        asked, issuer.says = len(issuer.asked), HANGS
        with bench.fault("the issuer hangs for an hour"):
            clock.set(HOUR)
            await site.until(lambda: len(issuer.asked) > asked, "the keys to be asked for again")
            await asyncio.sleep(6.0)  # longer than an attempt may take
            async with bench.load(site, known, issuer.caller("key", 20.0), name="after") as after:
                await bench.wait(3.0)
    bench.hold(
        none_failed(before.history, "tokens count before"),
        none_failed(after.history, "tokens of known keys count an hour later"),
        Verdict(
            len(issuer.asked) > asked,
            "the issuer was asked in vain",
            f"{len(issuer.asked) - asked} times",
            "> 0",
        ),
    )


EXPERIMENT = Experiment(
    "issuer-down", 9, "an issuer is down for an hour", run, needs=(Need.FAKETIME,)
)
