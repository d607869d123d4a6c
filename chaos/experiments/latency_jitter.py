"""The way to all backends takes 100 ms longer, and up to as much again by chance."""

from contextlib import AsyncExitStack

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy, Toxics
from chaos.felt import felt
from chaos.invariants import attempts_bounded, none_failed
from chaos.verdict import Verdict

BACKENDS = 3
RATE = 30.0
LATENCY = JITTER = 0.1  # seconds


async def run(bench: Bench) -> None:
    async with AsyncExitStack() as stack:
        ways = [
            await stack.enter_async_context(FaultProxy(rng=bench.rng.random))
            for _ in range(BACKENDS)
        ]
        site = await stack.enter_async_context(bench.site(bench.timed()))
        for number, way in enumerate(ways):
            site.backend(f"b{number}", behind=way)
        await site.ready(BACKENDS)
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(3.0)
            slow = bench.now()
            with bench.fault("100 ms on the way to all backends, and up to 100 ms by chance"):
                for way in ways:
                    way.up = Toxics(latency=LATENCY, jitter=JITTER)
                await bench.wait(12.0)
                for way in ways:
                    way.heal()
                healed = bench.now()
            await bench.wait(3.0)
    before, during = load.history.between(0.0, slow), load.history.between(slow, healed)
    added = during.quantile(0.5) - before.quantile(0.5)
    most = LATENCY + JITTER
    bench.hold(
        none_failed(load.history),
        attempts_bounded(load.history, site.executions(bench.began)),
        felt("milliseconds of an answer (p50)", during.quantile(0.5) * 1e3, LATENCY * 1e3),
        Verdict(
            added <= 1.5 * most,
            "the way is longer, and nothing else",
            f"p50 +{added * 1e3:.0f} ms",
            f"≤ {1.5 * most * 1e3:.0f} ms",
            timed=True,
        ),
    )


EXPERIMENT = Experiment(
    "latency-jitter", 3, "the way to all backends takes 100 to 200 ms longer", run
)
