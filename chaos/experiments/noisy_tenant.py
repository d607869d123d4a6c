"""One tenant asks for fifty times its share of a model, and its neighbours shan't notice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from chaos.blocks import Blocks, alternate
from chaos.experiment import Bench, Experiment
from chaos.history import History
from chaos.invariants import none_failed, refusals_say_when
from chaos.verdict import Verdict

ROW = 0.04  # seconds: twenty-five requests a second
# One at a time: a batch isn't interrupted, and a flood fills every batch, which then takes longer.
ROWS = 1
NEIGHBOURS = ("ant", "bee", "cat")
SHARE = 0.25  # of the device, each tenant's
USE = 0.6  # of their shares, the neighbours
TIMES = 50  # of its share, the noisy one
LIMIT = 1.2
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {name: timed}
spec:
  match: [{model: timed}]
  backends: [{name: stable, model: timed, version: "1"}]
  timeouts: {total: 2s}
"""


async def run(bench: Bench) -> None:
    model = bench.timed(ROW, ROWS)
    share = SHARE * model.capacity
    async with bench.site(model, routes={"timed.yaml": ROUTE}) as site:
        site.backend("b0")
        await site.ready(1)
        floods: list[History] = []

        @asynccontextmanager
        async def flood() -> AsyncIterator[None]:
            caller = site.caller(TIMES * share, "noisy")
            async with bench.load(site, caller, name=f"noisy-{len(floods)}") as noisy:
                yield
            floods.append(noisy.history)

        quiet = [site.caller(USE * share, name) for name in NEIGHBOURS]
        async with bench.load(site, *quiet) as load:
            # What the model can hold is learnt from the first flood, which counts for nothing.
            async with flood():
                await bench.wait(2.0)
            await bench.wait(1.0)
            spans = await alternate(bench, "a tenant asks for 50 × its share", flood, seconds=1.5)
    blocks = Blocks.of(load.history, spans)
    flooded = History([each for history in floods for each in history])
    bench.hold(
        # Where the processors are short, the model can't do what its neighbours ask for either.
        replace(none_failed(load.history, "no neighbour was refused"), timed=True),
        refusals_say_when(flooded),
        _unnoticed(blocks),
    )
    bench.figure(
        "of the noisy tenant", ", ".join(f"{n} {o}" for o, n in flooded.outcomes().items())
    )


def _unnoticed(blocks: Blocks) -> Verdict:
    """Over all blocks: each has too few requests of the neighbours for a p99 of its own."""
    healthy, faulty = blocks.pooled()
    odd, even = Blocks(blocks.healthy[::2], blocks.healthy[1::2]).pooled()
    noise = max(odd, even) / min(odd, even)
    return Verdict(
        faulty <= LIMIT * healthy * noise,
        "p99 of the neighbours",
        f"{faulty * 1e3:.0f} ms, {healthy * 1e3:.0f} without: {faulty / healthy:.2f} × "
        f"(A/A {noise:.2f})",
        f"≤ {LIMIT:g} ×",
        timed=True,
    )


EXPERIMENT = Experiment("noisy-tenant", 4, "a tenant asks for fifty times its share", run)
