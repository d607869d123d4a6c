"""kill -9 of one of a gateway's two workers; the other one goes on, and it comes back."""

import asyncio

from chaos.experiment import Bench, Experiment
from chaos.faults import workers
from chaos.invariants import lost_only_in_flight
from chaos.verdict import Verdict

BACKENDS, WORKERS = 2, 2
RATE = 30.0  # of each kind
UNSEEN = 0.5  # seconds in which a client may not know yet that its connection has ended


async def run(bench: Bench) -> None:
    model = bench.timed()
    async with bench.site(model, workers=WORKERS) as site:
        for number in range(BACKENDS):
            site.backend(f"b{number}")
        await site.ready(BACKENDS)
        kept = bench.load(site, site.caller(RATE), name="kept")
        fresh = bench.load(site, site.caller(RATE), name="fresh", fresh=True)
        before = workers.workers(site.gateway.gateway)
        async with kept, fresh:
            await bench.wait(3.0)
            killed = bench.step("kill -9 of a worker")
            workers.kill(before[0])
            back = await site.until(
                lambda: len(set(workers.workers(site.gateway.gateway)) - set(before)) == 1,
                "another worker",
            )
            await site.ready(BACKENDS)
            await bench.wait(2.0)
        after = await asyncio.to_thread(workers.workers, site.gateway.gateway)
    bench.hold(
        lost_only_in_flight(fresh.history, killed),
        lost_only_in_flight(kept.history, killed, slack=UNSEEN),
        Verdict(
            len(after) == WORKERS and before[1] in after,
            "the other worker was left alone, and there are two again",
        ),
    )
    lost = sum(len(each.history) - len(each.history.of("answered")) for each in (kept, fresh))
    bench.figure("requests lost with it", f"{lost} of {len(kept.history) + len(fresh.history)}")
    bench.figure("until another was started", f"{back:.1f} s")


EXPERIMENT = Experiment("worker-killed", 5, "kill -9 of one of a gateway's two workers", run)
