"""Gateways behind the deployment's balancer, and backends, are replaced one after the other.

Clients come on fresh connections, on ones that they keep, and with streams in flight.
"""

from contextlib import AsyncExitStack

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.haproxy import Haproxy
from chaos.invariants import none_failed
from chaos.probe import Need
from chaos.site import Site
from chaos.streams import MODEL, Streams

RATE = 25.0  # of each kind
STREAMS = 5.0
PARTS = 5
SEEN = 1.5  # seconds in which the balancer sees that a gateway is ready again


async def run(bench: Bench) -> None:
    model = bench.timed()
    streamed = bench.timed(row=0.03, rows=0, name=MODEL, parts=PARTS)
    (streamed.repository / MODEL).rename(model.repository / MODEL)
    count = 2 if bench.short else 3
    async with bench.site(model, gateways=count) as site, AsyncExitStack() as stack:
        balancer = stack.enter_context(Haproxy(bench.folder, site.gateways))
        backends = [site.backend(f"b{number}") for number in range(count)]
        await site.ready(count)
        await site.ready(count, MODEL)
        await bench.wait(SEEN, short=SEEN)
        ways = [balancer.url]
        kept = bench.load(site, site.caller(RATE), name="kept", targets=ways)
        fresh = bench.load(site, site.caller(RATE), name="fresh", targets=ways, fresh=True)
        streams = Streams(ways, [site.caller(STREAMS)], bench.now, bench.rng, parts=PARTS)
        bench.histories["streams"] = streams.history
        async with kept, fresh, streams:
            await bench.wait(2.0, short=0.5)
            await _gateways(bench, site, 1 if bench.short else count)
            for each in backends[: 1 if bench.short else count]:
                with bench.fault(f"{each.name} is replaced"):
                    await process.finish(each)
                    site.backend(each.name)
                    await site.ready(count)
                    await site.ready(count, MODEL)
            await bench.wait(1.0, short=0.5)
    bench.hold(
        none_failed(fresh.history, "no new connection failed"),
        none_failed(kept.history, "no request on a kept connection failed"),
        none_failed(streams.history, "no stream was cut"),
    )


async def _gateways(bench: Bench, site: Site, count: int) -> None:
    for mesh in site.gateways[:count]:
        with bench.fault(f"{mesh.folder.name} is replaced"):
            await process.finish(mesh.gateway)
            mesh.start_gateway()
            await site.ready(len(site.gateways))
            await site.ready(len(site.gateways), MODEL)
            await bench.wait(SEEN, short=0.5)


EXPERIMENT = Experiment(
    "rolling-restart",
    7,
    "Gateways and backends are replaced one after the other",
    run,
    short=True,
    needs=(Need.HAPROXY,),
)
