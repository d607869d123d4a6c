"""A poisonous request on a route that hedges, so that two backends may have it at a time.

When one attempt is lost, the other is called back if it isn't too late, and the third runs alone:
it may take three backends with it instead of two.
"""

from chaos.experiment import Bench, Experiment
from chaos.felt import felt
from chaos.invariants import none_failed
from chaos.verdict import Verdict
from chaos.work import took_with_it

BACKENDS = 5
RATE = 60.0  # requests a second of innocents
POISON = 1_000_013
LEARNING = 4.0  # seconds in which hedging learns how long answers take
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {name: hedged}
spec:
  match: [{model: timed}]
  backends: [{name: stable, model: timed, version: "1"}]
  retries: {max: 2, hedgeAfter: p95}
"""


async def run(bench: Bench) -> None:
    model = bench.timed(0.02)
    async with bench.site(model, routes={"hedged.yaml": ROUTE}) as site:
        backends = site.backends(BACKENDS)
        for backend in backends:
            backend.may_end = True
        await site.ready(BACKENDS)
        guilty = site.caller(0.0, "guilty")
        poison = bench.load(site, name="poison")
        async with poison, bench.load(site, site.caller(RATE)) as load:
            await bench.wait(LEARNING)
            model.order(f"poison={POISON}")
            with bench.fault("a poisonous request"):
                asked = [await poison.ask(guilty, POISON) for _ in range(5)]
            await bench.wait(2.0)
        dead = sum(each.status is not None for each in backends)
        hedges = site.counter("penstock_hedges_total")
    statuses = sorted({each.status for each in asked})
    bench.hold(
        took_with_it(dead, 3),
        none_failed(load.history, "no innocent request failed"),
        felt("requests were hedged", hedges),
        Verdict(statuses == [500], "it is told what became of it", f"{statuses}", "500"),
    )
    bench.figure("hedged", f"{hedges:.0f} of {len(load.history)}")


EXPERIMENT = Experiment("poison-hedged", 8, "a poisonous request on a route that hedges", run)
