"""kill -9 of a gateway's supervisor: its workers end with it, and leave the ports to the next one.

Survivors would go on with a table that nobody renews, and hold the ports.
"""

from chaos.experiment import Bench, Experiment
from chaos.faults import process, workers
from chaos.invariants import none_failed, within
from chaos.verdict import Verdict

BACKENDS = 2
RATE = 60.0


async def run(bench: Bench) -> None:
    model = bench.timed()
    async with bench.site(model, gateways=2, workers=2) as site:
        for number in range(BACKENDS):
            site.backend(f"b{number}")
        await site.ready(BACKENDS)
        other, victim = site.gateways
        before = workers.workers(victim.gateway)
        load = bench.load(site, site.caller(RATE), targets=[other.url])
        async with load:
            await bench.wait(2.0)
            with bench.fault("kill -9 of the second gateway's supervisor"):
                process.kill(victim.gateway)
                ended = await site.until(lambda: all(map(workers.gone, before)), "workers to end")
                victim.start_gateway()
                await site.ready(BACKENDS)
            answered = bench.load(site, site.caller(RATE), name="afterwards", targets=[victim.url])
            async with answered:
                await bench.wait(2.0)
    bench.hold(
        none_failed(load.history, "no request failed at the other gateway"),
        Verdict(len(before) == 2, "there were two workers"),
        within([ended], 2.0, "its workers end with it"),
        none_failed(answered.history, "its successor serves on the same ports"),
    )


EXPERIMENT = Experiment("supervisor-killed", 5, "kill -9 of a supervisor with two workers", run)
