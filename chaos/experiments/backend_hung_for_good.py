"""SIGSTOP of one of four backends, which never goes on: what it was asked must not wait for it.

Silence is not death, so its calls are kept for as long as its lease lasts; then they are repeated
elsewhere, long before their deadlines.
"""

from chaos.experiment import Bench, Experiment
from chaos.faults import process
from chaos.felt import felt
from chaos.invariants import everybody_was_answered_by, no_request_executed_over, none_failed
from chaos.on_device import on_device
from chaos.verdict import Verdict

BACKENDS = 4
SHARE = 0.6
ROW = 0.3  # seconds
LEASE = 5.0  # seconds, a gateway's own
SILENCE = 1.0


async def run(bench: Bench) -> None:
    model = bench.timed(ROW, rows=1)
    async with bench.site(model) as site:
        *_, victim = site.backends(BACKENDS)
        await site.ready(BACKENDS)
        load = bench.load(site, site.caller(SHARE * BACKENDS * model.capacity))
        async with load:
            await bench.wait(3.0)
            await on_device(bench, site, victim)
            with bench.fault("b3 is stopped"), process.stopped(victim):
                hung = bench.now()
                await bench.wait(LEASE + 6.0)
                ended = bench.now()
    waited = [
        each for each in load.history.between(hung - 0.5, hung + 2.0) if each.seconds > SILENCE
    ]
    late = [each for each in waited if each.done > ended]
    bench.hold(
        felt("requests waited for it", len(waited)),
        Verdict(not late, "nobody waits until it goes on", f"{len(late)}", "0"),
        none_failed(load.history),
        no_request_executed_over(site.executions(bench.began)),
        everybody_was_answered_by(load.history, LEASE + 2.0),
    )


EXPERIMENT = Experiment(
    "backend-hung-for-good", 1, "SIGSTOP of one of four backends, for good", run
)
