"""One of three backends answers half a second late: the path to it is slow, not the device."""

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy, Toxics
from chaos.felt import felt
from chaos.history import History
from chaos.invariants import no_request_executed_over, none_failed
from chaos.verdict import Verdict

BACKENDS = 3
RATE = 60.0  # requests a second, four tenths of what the backends can do
LATE = 0.5  # seconds
SETTLED = 2.0  # seconds after which requests avoid it
FEW = 0.05  # of the requests may still find out whether it is slow


async def run(bench: Bench) -> None:
    async with FaultProxy() as proxy, bench.site(bench.timed(0.02)) as site:
        site.backends(BACKENDS - 1)
        slow = site.backend("slow", behind=proxy)
        await site.ready(BACKENDS)
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(5.0)
            with bench.fault(f"{LATE * 1e3:g} ms on the way from one backend"):
                began = bench.now()
                proxy.down = Toxics(latency=LATE)
                await bench.wait(12.0)
                proxy.heal()
                healed = bench.now()
            await bench.wait(10.0)
    executions = site.executions(bench.began)
    bench.hold(none_failed(load.history), no_request_executed_over(executions))
    found = load.history.between(began - 0.2, began + SETTLED)
    bench.hold(felt("seconds of the slowest answer", found.quantile(1.0), LATE))
    during = load.history.between(began + SETTLED, healed)
    late = sum(each.seconds >= LATE for each in during)
    bench.hold(
        Verdict(
            late <= FEW * len(during),
            "requests avoid the slow one",
            f"{late} of {len(during)} went there",
            f"≤ {FEW:.0%}",
            timed=True,
        )
    )
    after = [each for each in executions if each.at > healed + 2.0]
    share = sum(each.instance == str(slow.pid) for each in after) / max(1, len(after))
    bench.figure("its share of the work after it was healed", f"{share:.0%}")
    bench.figure("p50 before, meanwhile", _medians(load.history.between(0.0, began), during))


def _medians(*histories: History) -> str:
    return ", ".join(f"{each.quantile(0.5) * 1e3:.0f} ms" for each in histories)


EXPERIMENT = Experiment(
    "backend-slow", 1, "half a second on the way from one of three backends", run
)
