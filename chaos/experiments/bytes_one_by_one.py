"""Bytes come one by one, both ways: from clients to the gateway and from it to all backends."""

from contextlib import AsyncExitStack

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy, Toxics
from chaos.felt import felt
from chaos.invariants import attempts_bounded, none_failed

BACKENDS = 2
RATE = 6.0  # a second: each byte is a packet and a turn of three event loops


async def run(bench: Bench) -> None:
    async with AsyncExitStack() as stack:
        ways = [await stack.enter_async_context(FaultProxy()) for _ in range(BACKENDS + 1)]
        site = await stack.enter_async_context(bench.site(bench.timed()))
        for number, way in enumerate(ways[1:]):
            site.backend(f"b{number}", behind=way)
        await site.ready(BACKENDS)
        entrance = ways[0]
        entrance.target = site.gateway.ports["http"]
        target = f"http://{entrance.address}"
        with bench.fault("bytes come one by one"):
            for way in ways:
                way.both(Toxics(slices=1))
            async with bench.load(site, site.caller(RATE), targets=[target]) as load:
                await bench.wait(10.0)
    sliced = [way.did.sliced for way in ways]
    bench.hold(
        none_failed(load.history),
        attempts_bounded(load.history, site.executions(bench.began)),
        # A request and its answer, in either direction.
        felt("bytes that came alone", sliced[0], 100 * len(load.history)),
        felt(
            "bytes that came alone from gateway to backends",
            sum(sliced[1:]),
            20 * len(load.history),
        ),
    )
    bench.figure("p50", f"{load.history.quantile(0.5) * 1e3:.0f} ms")


EXPERIMENT = Experiment("bytes-one-by-one", 3, "bytes come one by one everywhere", run)
