"""Five thousand clients go away before they are answered, each with its connection.

Nothing of them may stay: no task, no descriptor, no call in flight.
"""

from chaos.experiment import Bench, Experiment
from chaos.invariants import none_failed
from chaos.site import Site
from chaos.verdict import Verdict

RATE = 270.0  # requests a second
MORE_TASKS = 5.0
MORE_DESCRIPTORS = 10.0


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed(0.004)) as site:
        site.backends(2)
        await site.ready(2)
        async with bench.load(site, site.caller(20.0), name="before") as load:
            await bench.wait(2.0)
        before = _kept(site)
        leaving = bench.load(
            site, site.caller(RATE), name="leaving", fresh=True, leave=1.0, leave_within=0.01
        )
        async with leaving:
            with bench.fault("every client goes away within 10 ms"):
                await bench.wait(20.0)
        await site.until(lambda: _kept(site)[0] <= before[0] + MORE_TASKS, "tasks to end")
        await bench.wait(1.0)
        after = _kept(site)
        async with bench.load(site, site.caller(20.0), name="after") as later:
            await bench.wait(2.0)
    gone = len(leaving.history.of("left"))
    bench.hold(
        Verdict(gone > len(leaving.history) / 2, "clients went away", f"{gone}", "most"),
        Verdict(
            after[0] <= before[0] + MORE_TASKS,
            "tasks are as many as before",
            f"{after[0]:.0f} after {before[0]:.0f}",
            f"+{MORE_TASKS:.0f} at most",
        ),
        Verdict(
            after[1] <= before[1] + MORE_DESCRIPTORS,
            "descriptors are as many as before",
            f"{after[1]:.0f} after {before[1]:.0f}",
            f"+{MORE_DESCRIPTORS:.0f} at most",
        ),
        none_failed(load.history, "answered before"),
        none_failed(later.history, "answered after"),
    )


def _kept(site: Site) -> tuple[float, float]:
    """Tasks and descriptors of the gateway."""
    tasks = site.counter("penstock_asyncio_tasks")
    return tasks, site.counter("penstock_process_open_fds")


EXPERIMENT = Experiment("client-aborts", 11, "five thousand clients go away unanswered", run)
