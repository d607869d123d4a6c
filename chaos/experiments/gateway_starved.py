"""The gateway gets a fifth of a core, and more requests than that can carry."""

import time

from chaos.experiment import Bench, Experiment
from chaos.faults import cgroup
from chaos.invariants import replies_are_whole
from chaos.probe import Need
from chaos.site import Site
from chaos.soak.samples import holding
from chaos.verdict import Verdict

RATE = 250.0  # a second; a fifth of a core carries less
SHARE = 0.2
DEADLINE = 2.0  # seconds
GROWTH = 48 * 1024 * 1024  # bytes
PATIENCE = 10.0  # seconds for a health check


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed(0.002)) as site:
        site.backends(2)
        await site.ready(2)
        pid = site.gateway.gateway.pid
        before = holding(pid)
        health: list[float] = []
        async with bench.load(site, site.caller(RATE, timeout=DEADLINE)) as load:
            await bench.wait(2.0)
            starved = bench.now()
            with bench.fault("a fifth of a core"), cgroup.processor(pid, SHARE):
                for _ in range(6):
                    await bench.wait(2.0)
                    health.append(await site.until(lambda: _live(site), "health"))
                after = holding(pid)
                fed = bench.now()
            await bench.wait(6.0)
        ended = bench.now()
    if before is None or after is None:
        raise RuntimeError("the gateway ended")
    during, later = load.history.between(starved, fed), load.history.between(fed + 3.0, ended)
    grown = after.uss - before.uss
    bench.hold(
        replies_are_whole(load.history),
        Verdict(
            grown <= GROWTH,
            "it grows by no more than what it holds",
            f"{grown / 2**20:.0f} MiB",
            f"≤ {GROWTH / 2**20:.0f} MiB",
        ),
        Verdict(
            max(health) <= PATIENCE,
            "health answers",
            f"slowest {max(health):.1f} s",
            f"≤ {PATIENCE:g} s",
            timed=True,
        ),
        Verdict(
            len(later.of("answered")) >= 0.99 * len(later),
            "all is well when it is fed again",
            f"{len(later.of('answered'))} of {len(later)} answered",
            "≥ 99 %",
            timed=True,
        ),
    )
    told = during.outcomes()
    bench.figure("meanwhile", ", ".join(f"{n} {what}" for what, n in told.items()))


def _live(site: Site) -> bool:
    begun = time.monotonic()
    with site.gateway.client() as client:
        answer = client.get("/v2/health/live", timeout=PATIENCE)
    return answer.status_code == 200 and time.monotonic() - begun <= PATIENCE


EXPERIMENT = Experiment(
    "gateway-starved",
    4,
    "the gateway has a fifth of a core and too many requests",
    run,
    needs=(Need.CPU_CGROUP,),
)
