"""An issuer rotates its keys under load, with an overlap.

The new key is published before anything is signed with it; gateways look for it themselves, or
when the first token names it.
"""

from chaos.experiment import Bench, Experiment
from chaos.invariants import none_failed
from chaos.issuer import Issuer, publishing

GATEWAYS = 2
LOOKS = 2 * GATEWAYS  # each for its clients and for its administrators


async def run(bench: Bench) -> None:
    issuer = Issuer("rotates")
    issuer.publish("old")
    async with (
        publishing(bench.folder, issuer) as settings,
        bench.site(bench.timed(), settings=settings, gateways=GATEWAYS) as site,
    ):
        site.backend("b0")
        await site.ready(1)
        asked = len(issuer.asked)
        async with bench.load(site, issuer.caller("old", 30.0), name="old") as old:
            issuer.publish("old", "new")
            with bench.fault("two keys are published"):
                await site.until(lambda: len(issuer.asked) >= asked + LOOKS, "new looks")
                async with bench.load(site, issuer.caller("new", 30.0), name="new") as new:
                    await bench.wait(3.0)
    bench.hold(
        none_failed(old.history, "tokens of the old key count"),
        none_failed(new.history, "tokens of the new key count"),
    )
    bench.figure("attempts to fetch", f"{len(issuer.asked)} by {GATEWAYS} gateways")


EXPERIMENT = Experiment("keys-rotated", 9, "an issuer rotates its keys under load", run)
