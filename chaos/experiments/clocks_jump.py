"""The wall clock of gateway and backends jumps an hour ahead, then one behind, under load.

What is measured in durations (leases of backends, limits) goes by monotonic clocks. What is dated
(tokens) goes by the wall clock, whichever it is. Kept answers go by both, as gateways share them:
a clock that jumps ahead makes them old, and none outlives its time.
"""

from chaos.experiment import Bench, Experiment
from chaos.faults.clock import HOUR, KNOWN_WITHIN, WallClock
from chaos.history import Request
from chaos.invariants import nobody_evicted, none_failed
from chaos.load import Caller, Load
from chaos.mesh import ISSUED, LIFETIME
from chaos.probe import Need
from chaos.site import Site
from chaos.verdict import Verdict

RATE = 60.0
ALLOWED = 5
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {name: ROUTE}
spec:
  match: [{model: timed, tenants: [TENANT]}]
  backends: [{name: stable, model: timed, version: "1"}]
"""
ROUTES = {
    "limited.yaml": ROUTE.replace("ROUTE", "limited").replace("TENANT", "limited")
    + f"  limits: [{{per: tenant, requests: {ALLOWED}/30d}}]\n",
    "kept.yaml": ROUTE.replace("ROUTE", "kept").replace("TENANT", "kept")
    + "  cache: {ttl: 5m, scope: tenant}\n",
}
KEPT = 10**9  # a number that the load never comes to


async def run(bench: Bench) -> None:
    model = bench.timed()
    clock = WallClock(bench.folder / "clock")
    async with bench.site(model, routes=ROUTES, environment=clock.environment) as site:
        for number in range(2):
            site.backend(f"b{number}")
        await site.ready(2)
        token = site.gateway.token("infer:*", issued=ISSUED, lifetime=LIFETIME)
        load = bench.load(site, Caller(token, RATE))
        asked = bench.load(site, name="asked")
        async with asked, load:
            used = [(await _ask(asked, site, "limited", n)).status for n in range(1, ALLOWED + 2)]
            await _ask(asked, site, "kept", KEPT)
            statuses: dict[int, tuple[int, int, int]] = {}
            for hours in (1, -1, 0):
                await bench.wait(2.0)
                with bench.fault(f"the wall clock is off by {hours:+d} h"):
                    clock.set(hours * HOUR)
                    await bench.wait(KNOWN_WITHIN + 5.0)
                    limited = await _ask(asked, site, "limited", 1)
                    kept = await _ask(asked, site, "kept", KEPT)
                    fresh = await _ask(asked, site, "tests", 1, issued=0.0, lifetime=1800.0)
                    statuses[hours] = (limited.status, kept.status, fresh.status)
        evicted = nobody_evicted(site.evictions)
    executions = [each for each in site.executions(bench.began) if each.number == KEPT]
    dated = {hours: status for hours, (_, _, status) in statuses.items()}
    bench.hold(
        none_failed(load.history),
        evicted,
        Verdict(
            used == [200] * ALLOWED + [429]
            and all(limited == 429 for limited, _, _ in statuses.values()),
            "a limit by the month stays used up",
            f"{[limited for limited, _, _ in statuses.values()]}",
            "429 each time",
        ),
        Verdict(
            len(executions) <= 2 and all(kept == 200 for _, kept, _ in statuses.values()),
            "a kept answer is at most made anew when the clock jumps ahead",
            f"{len(executions)} executed",
            "≤ 2",
        ),
        Verdict(
            dated == {1: 401, -1: 401, 0: 200},
            "a token for half an hour is good by the clock that there is",
            f"{dated}",
            "401 while it is an hour off",
        ),
    )


async def _ask(
    load: Load,
    site: Site,
    tenant: str,
    number: int,
    *,
    issued: float = ISSUED,
    lifetime: float = LIFETIME,
) -> Request:
    token = site.gateway.token("infer:*", tenant=tenant, issued=issued, lifetime=lifetime)
    return await load.ask(Caller(token, 0.0, tenant), number)


EXPERIMENT = Experiment(
    "clocks-jump",
    5,
    "The wall clock jumps an hour ahead, and an hour behind",
    run,
    needs=(Need.FAKETIME,),
)
