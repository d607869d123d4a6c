"""A backend beats, and nobody can connect to the address that it advertises: refused."""

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy
from chaos.invariants import attempts_bounded, none_failed
from chaos.verdict import Verdict

BACKENDS = 3
RATE = 60.0


async def run(bench: Bench) -> None:
    async with FaultProxy() as proxy, bench.site(bench.timed()) as site:
        site.backends(BACKENDS - 1)
        beyond = site.backend("beyond", behind=proxy)
        await site.ready(BACKENDS)
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(3.0)
            with bench.fault("connections are cut, and refused"):
                await proxy.refuse()
                await proxy.cut(reset=True)
                await bench.wait(8.0)
            healed = bench.now()
            await proxy.accept()
            await bench.wait(6.0)
    executions = site.executions(bench.began)
    again = [each.at for each in executions if each.instance == str(beyond.pid)]
    back = next((at - healed for at in again if at > healed), float("inf"))
    bench.hold(
        none_failed(load.history),
        attempts_bounded(load.history, executions),
        Verdict(back <= 2.0, "it is used again", f"after {back:.1f} s", "≤ 2 s", timed=True),
    )


EXPERIMENT = Experiment(
    "connects-refused", 1, "connections to one of three backends are refused", run
)
