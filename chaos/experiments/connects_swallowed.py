"""A backend joins with an address that swallows whoever connects, then becomes reachable."""

from chaos.experiment import Bench, Experiment
from chaos.faults.packets import connecting, dropped
from chaos.invariants import attempts_bounded, none_failed
from chaos.ports import free_ports
from chaos.probe import Need
from chaos.verdict import Verdict

RATE = 60.0


async def run(bench: Bench) -> None:
    (port,) = free_ports(1)
    async with bench.site(bench.timed()) as site:
        site.backends(2)
        await site.ready(2)
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(2.0)
            with bench.fault("a backend joins behind a black hole"), dropped(connecting(port)):
                hidden = site.backend("hidden", "--listen", f"127.0.0.1:{port}")
                await site.until(lambda: len(site.states()) == 3, "its beats")
                await bench.wait(6.0)
            healed = bench.now()
            await bench.wait(8.0)
    executions = site.executions(bench.began)
    used = [each.at - healed for each in executions if each.instance == str(hidden.pid)]
    first = min(used, default=float("inf"))
    bench.hold(
        none_failed(load.history),
        attempts_bounded(load.history, executions),
        Verdict(first > 0.0, "nothing passes a black hole", f"{first:.1f} s", "> 0 s"),
        Verdict(
            first <= 6.0,
            "it is used when it can be reached",
            f"after {first:.1f} s",
            "≤ 6 s",
            timed=True,
        ),
    )


EXPERIMENT = Experiment(
    "connects-swallowed",
    1,
    "a backend advertises an address that swallows connections",
    run,
    needs=(Need.NAMESPACE,),
)
