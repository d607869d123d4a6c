"""The backend of a mirror that copies every request hangs again and again, and dies in the end."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chaos.blocks import beside
from chaos.experiment import Bench, Experiment
from chaos.faults.process import kill, stopped
from chaos.history import Execution, History
from chaos.invariants import none_failed
from chaos.verdict import Step, Verdict

MOST = 8  # copies in flight
SETTLE = 0.1  # seconds in which a request may be on its way when it goes on
HUNG = "the mirror's backend hangs"
MIRRORED = "penstock_mirrored_total"
ROUTE = f"""
apiVersion: penstock/v1
kind: Route
metadata: {{name: timed}}
spec:
  match: [{{model: timed}}]
  backends: [{{name: stable, model: timed, version: "1"}}]
  mirror:
    - {{backend: candidate, model: copied, version: "1", percent: 100, maxInFlight: {MOST}}}
"""


async def run(bench: Bench) -> None:
    copied = bench.timed(row=0.002, name="copied")
    async with bench.site(bench.timed(row=0.002), routes={"timed.yaml": ROUTE}) as site:
        site.backend("b0")
        candidate = site.gateway.start_backend("candidate", copied.repository)
        await site.ready(1)
        await site.ready(1, "copied")

        @asynccontextmanager
        async def hung() -> AsyncIterator[None]:
            with stopped(candidate):
                yield

        load = await beside(bench, site, HUNG, hung)
        copies = most_sent(bench.steps, load.history, copied.executions(bench.began))
        bench.step("kill -9 the mirror's backend")
        kill(candidate)
        async with bench.load(site, site.caller(50.0), name="killed") as killed:
            await bench.wait(2.0)
        await site.until(lambda: site.counter(MIRRORED, outcome="dropped") > 0, "drops to be told")
        counts = {each: site.counter(MIRRORED, outcome=each) for each in ("compared", "dropped")}
    bench.hold(
        none_failed(killed.history, "none failed after its death"),
        Verdict(
            0 < copies <= MOST,
            "copies in flight are bounded",
            f"{copies} were sent to it at most while it hung",
            f"≤ {MOST}",
            timed=True,
        ),
        Verdict(counts["compared"] > 0, "pairs were compared", f"{counts['compared']:g}", "> 0"),
        Verdict(
            counts["dropped"] > 0, "dropped copies are counted", f"{counts['dropped']:g}", "> 0"
        ),
    )


def most_sent(steps: Sequence[Step], history: History, executions: Sequence[Execution]) -> int:
    """Of all times it hung: how many requests that came then had a copy, executed later."""
    copied = {each.number for each in executions}
    spans = [(each.at, each.until or each.at) for each in steps if each.what == HUNG]
    return max(
        sum(each.number in copied for each in history.between(begun, ended - SETTLE))
        for begun, ended in spans
    )


EXPERIMENT = Experiment("mirror-lost", 10, "a mirror's backend hangs, and dies", run)
