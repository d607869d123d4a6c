"""The packets between the gateways and one of three backends are lost; its beats still come."""

from chaos.experiment import Bench, Experiment
from chaos.faults.packets import dropped, to_and_from
from chaos.invariants import attempts_bounded, no_request_executed_over, none_failed
from chaos.ports import free_ports
from chaos.probe import Need
from chaos.verdict import Verdict

BACKENDS = 3
RATE = 60.0
SILENCE = 3.0  # seconds; after one of them nobody new is sent there


async def run(bench: Bench) -> None:
    (port,) = free_ports(1)
    async with bench.site(bench.timed()) as site:
        site.backends(BACKENDS - 1)
        site.backend("cut", "--listen", f"127.0.0.1:{port}")
        await site.ready(BACKENDS)
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(4.0)
            with bench.fault("half-open link to one backend"), dropped(to_and_from(port)):
                lost = bench.now()
                await bench.wait(18.0)
                healed = bench.now()
            await bench.wait(5.0)
        recovered = await site.until(lambda: site.states().count("ready") == BACKENDS, "all")
    executions = site.executions(bench.began)
    later = load.history.between(lost + SILENCE, healed)
    waited = [each for each in later if each.seconds > 1.0]
    bench.hold(
        none_failed(load.history),
        no_request_executed_over(executions),
        attempts_bounded(load.history, executions),
        Verdict(
            not waited,
            f"after {SILENCE:g} s nobody waits for it",
            f"{len(waited)} of {len(later)} took over a second",
            "0",
            timed=True,
        ),
    )
    slowest = load.history.between(lost - 1.0, healed).quantile(1.0)
    bench.figure("slowest of those who were on that link", f"{slowest:.1f} s")
    bench.figure("all usable after it was healed", f"{recovered:.1f} s")


EXPERIMENT = Experiment(
    "link-half-open",
    3,
    "the link to one of three backends is half-open",
    run,
    needs=(Need.NAMESPACE,),
)
