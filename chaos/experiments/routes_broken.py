"""Documents of routes are replaced under load: fifty times by good ones, then by broken ones."""

import asyncio

from chaos.experiment import Bench, Experiment
from chaos.history import History
from chaos.invariants import none_failed
from chaos.verdict import Verdict

RATE = 60.0
TIMES = 50
EVERY = 0.2  # seconds; the folder is read once a second
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {name: timed}
spec:
  match: [{model: timed}]
  backends: [{name: stable, model: timed, version: "1"}]
  limits: [{per: tenant, requests: NUMBER/s}]
"""
BROKEN = {
    "a key that nobody knows": ROUTE.replace("spec:", "spec:\n  backend: {}"),
    "no YAML": "spec: [",
    "cut off": ROUTE[:60],
    "empty": "",
}
STALE = "penstock_routes_stale"


async def run(bench: Bench) -> None:
    model = bench.timed()
    async with bench.site(model, routes={"timed.yaml": _route(1000)}) as site:
        for number in range(2):
            site.backend(f"b{number}")
        await site.ready(2)
        mesh = site.gateway
        load = bench.load(site, site.caller(RATE))
        told: dict[str, float] = {}
        async with load:
            await bench.wait(2.0)
            with bench.fault("documents are replaced"):
                for number in range(TIMES):
                    mesh.write_route("timed.yaml", _route(1001 + number))
                    await asyncio.sleep(EVERY)
            for what, text in BROKEN.items():
                with bench.fault(f"a broken document: {what}"):
                    mesh.write_route("timed.yaml", text)
                    told[what] = await site.until(lambda: mesh.counter(STALE) == 1, "the metric")
                    await bench.wait(2.0)
                mesh.write_route("timed.yaml", _route(2000))
                await site.until(lambda: mesh.counter(STALE) == 0, "the metric to fall")
            with bench.fault("the limit is one request a day"):
                mesh.write_route("timed.yaml", _route(1).replace("1/s", "1/1d"))
                await site.until(lambda: mesh.counter(STALE) == 0, "the documents to be read")
                await bench.wait(2.5)
                replaced = bench.now()
                await bench.wait(1.0)
    last = bench.steps[-1].at
    limited = load.history.between(replaced, bench.now())
    bench.hold(
        none_failed(_before(load.history, last)),
        Verdict(len(told) == len(BROKEN), "each broken document is told"),
        Verdict(
            bool(limited) and len(limited.of("refused")) == len(limited),
            "what is written next is in force",
            f"{len(limited.of('refused'))} of {len(limited)} refused",
            "all",
        ),
    )
    bench.figure("until a broken document is told", f"at most {max(told.values()):.1f} s")


def _before(history: History, at: float) -> History:
    return History([each for each in history if each.done < at])


def _route(number: int) -> str:
    return ROUTE.replace("NUMBER", str(number))


EXPERIMENT = Experiment(
    "routes-broken", 7, "Routes are replaced under load, also by broken ones", run
)
