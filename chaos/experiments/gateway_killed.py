"""kill -9 of one of two gateways behind the deployment's balancer; it starts again."""

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.felt import killed
from chaos.haproxy import Haproxy
from chaos.invariants import lost_only_in_flight
from chaos.probe import Need

BACKENDS = 2
RATE = 40.0  # of each kind
UNSEEN = 0.5  # seconds in which somebody may not know yet that a connection has ended
SEEN = 1.5  # seconds in which the balancer sees that a gateway is ready


async def run(bench: Bench) -> None:
    model = bench.timed()
    async with bench.site(model, gateways=2) as site:
        with Haproxy(bench.folder, site.gateways) as balancer:
            for number in range(BACKENDS):
                site.backend(f"b{number}")
            await site.ready(BACKENDS)
            await bench.wait(SEEN)
            ways = [balancer.url]
            kept = bench.load(site, site.caller(RATE), name="kept", targets=ways)
            fresh = bench.load(site, site.caller(RATE), name="fresh", targets=ways, fresh=True)
            async with kept, fresh:
                await bench.wait(3.0)
                at = bench.step("kill -9 of a gateway")
                victim = site.gateways[1].gateway
                process.kill(victim)
                await bench.wait(4.0)
                site.gateways[1].start_gateway()
                await site.ready(BACKENDS)
                await bench.wait(SEEN + 1.0)
    bench.hold(
        killed([victim.status]),
        lost_only_in_flight(fresh.history, at),
        lost_only_in_flight(kept.history, at, slack=UNSEEN),
    )
    lost = sum(len(each.history) - len(each.history.of("answered")) for each in (kept, fresh))
    bench.figure("requests lost with it", f"{lost} of {len(kept.history) + len(fresh.history)}")


EXPERIMENT = Experiment(
    "gateway-killed",
    7,
    "kill -9 of one of two gateways behind a balancer",
    run,
    needs=(Need.HAPROXY,),
)
