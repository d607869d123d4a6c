"""A backend is killed and starts again by a clock that was set back an hour.

Epochs are times of the wall clock: by its own the new process is older than the one it replaces.
The lease is so long that waiting for its end would be waiting in vain.
"""

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.faults.clock import HOUR, WallClock
from chaos.invariants import none_failed
from chaos.probe import Need
from chaos.verdict import Verdict

RATE = 60.0


async def run(bench: Bench) -> None:
    model = bench.timed()
    clock = WallClock(bench.folder / "clock")
    settings = "discovery: {lease: 10m}\n"
    async with bench.site(model, gateways=2, settings=settings) as site:
        victim = site.backend("victim", environment=clock.environment)
        site.backend("other")
        await site.ready(2)
        before = await site.instance("victim")
        load = bench.load(site, site.caller(RATE))
        async with load:
            await bench.wait(3.0)
            bench.step("kill -9 victim, whose clock is set back an hour")
            process.kill(victim)
            clock.set(-HOUR)
            site.backend("victim", environment=clock.environment)
            came = await site.until(
                lambda: site.states(0) == site.states(1) == ["ready"] * 2, "victim to be back"
            )
            after = await site.instance("victim")
            await bench.wait(2.0)
        told = "knows a later epoch" in site.gateway.process("victim").log.read_text()
    bench.hold(
        none_failed(load.history),
        Verdict(
            after["epoch"] > before["epoch"],
            "the new process has the name",
            f"epoch {after['epoch'] - before['epoch']:+d} ms",
            "a later epoch",
        ),
        Verdict(told, "it was told the epoch that is known"),
    )
    bench.figure("from its start until it is ready everywhere", f"{came:.1f} s")


EXPERIMENT = Experiment(
    "backend-clock-back",
    5,
    "A backend restarts by a clock that was set back an hour",
    run,
    needs=(Need.FAKETIME,),
)
