"""A poisonous request asked of each worker of a gateway in turn, always on a new connection.

What one worker has learned of a request must be known to the others, or it takes two backends for
each worker.
"""

import asyncio

from chaos.experiment import Bench, Experiment
from chaos.invariants import none_failed
from chaos.verdict import Verdict
from chaos.work import took_with_it

BACKENDS = 5
WORKERS = 2
RATE = 40.0  # requests a second of innocents
POISON = 1_000_013
AGAIN = 12


async def run(bench: Bench) -> None:
    model = bench.timed(0.02)
    model.order(f"poison={POISON}")
    async with bench.site(model, workers=WORKERS) as site:
        backends = site.backends(BACKENDS)
        for backend in backends:
            backend.may_end = True
        await site.ready(BACKENDS)
        guilty = site.caller(0.0, "guilty")
        poison = bench.load(site, name="poison", fresh=True)
        async with poison, bench.load(site, site.caller(RATE), fresh=True) as load:
            await bench.wait(1.0)
            with bench.fault("a poisonous request"):
                asked = [await poison.ask(guilty, POISON)]
            for _ in range(AGAIN):
                await asyncio.sleep(0.2)
                asked.append(await poison.ask(guilty, POISON))
        dead = sum(each.status is not None for each in backends)
    statuses = sorted({each.status for each in asked})
    bench.hold(
        took_with_it(dead, 2),
        none_failed(load.history, "no innocent request failed"),
        Verdict(statuses == [500], "it is told what became of it", f"{statuses}", "500"),
    )


EXPERIMENT = Experiment(
    "poison-among-workers", 8, "a poisonous request asked of two workers in turn", run
)
