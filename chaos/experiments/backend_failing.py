"""The model on one of three backends fails three batches in ten; on the others it doesn't.

What a model fails at may be the input's fault, so its failures are told and not repeated. But who
fails at what the others can do is taken out of service, and comes back once it works again.
"""

from chaos.experiment import Bench, Experiment
from chaos.invariants import no_request_executed_over
from chaos.timed import NAME
from chaos.verdict import Verdict
from chaos.work import never_repeated

BACKENDS = 3
RATE = 60.0  # requests a second
SHARE = 0.3  # of its batches fail


async def run(bench: Bench) -> None:
    model = bench.timed(0.02, rows=1)
    async with bench.site(model) as site:
        *_, failing = site.backends(BACKENDS)
        await site.ready(BACKENDS)

        def ejected() -> bool:
            where = {"backend": "b2", "model": NAME}
            return site.counter("penstock_endpoint_ejected", **where) == 1

        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(3.0)
            began = bench.now()
            with bench.fault(f"b2 fails {SHARE:.0%} of its batches"):
                model.order(f"fail={SHARE}", only=failing)
                found = await site.until(ejected, "b2 to be taken out of service")
                out = bench.step("b2 is out of service")
                await bench.wait(8.0)
            model.order(only=failing)
            healed = bench.now()
            back = await site.until(lambda: not ejected(), "b2 to be back")
            await bench.wait(2.0)
    history, executions = load.history, site.executions(bench.began)
    failed = [each for each in history if each.outcome != "answered"]
    told = sum(each.status == 500 for each in failed)
    during = history.between(out + 0.5, healed)
    # A probe of it succeeds seven times in ten, so it comes back now and then, and is judged anew.
    expected = len(during) * SHARE / BACKENDS
    bench.hold(
        Verdict(
            told == len(failed),
            "whoever isn't answered is told that the model failed",
            f"{told} of {len(failed)}",
            "all",
        ),
        Verdict(
            len(during.of("failed")) <= expected / 2,
            "most of its failures are spared",
            f"{len(during.of('failed'))} of {len(during)} failed",
            f"≤ half of {expected:.0f}",
        ),
        never_repeated(executions, (each.number for each in failed), "no failure is repeated"),
        no_request_executed_over(executions),
    )
    bench.figure("out of service", f"{found:.1f} s after it began, {len(failed)} requests failed")
    bench.figure("in service again", f"{back:.1f} s after it was healed ({healed - began:.0f} s)")


EXPERIMENT = Experiment(
    "backend-failing", 1, "the model fails three batches in ten on one of three backends", run
)
