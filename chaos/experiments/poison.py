"""A request that kills whoever executes it, asked again and again beside innocent ones.

It takes two backends with it: the one whose batch it was in, and the one where it then ran alone.
From then on its fingerprint is refused within its tenant. The same bytes of somebody else are
somebody else's request; and of all others none may fail, also those that shared its batch.
"""

from chaos.experiment import Bench, Experiment
from chaos.history import Execution
from chaos.invariants import no_request_executed_over, none_failed
from chaos.verdict import Verdict
from chaos.work import took_with_it

BACKENDS = 4
RATE = 60.0  # requests a second of innocents
POISON = 1_000_013
AGAIN = 5  # times that it is asked once it is known


async def run(bench: Bench) -> None:
    model = bench.timed(0.02)
    model.order(f"poison={POISON}")
    async with bench.site(model) as site:
        backends = site.backends(BACKENDS)
        for backend in backends:
            backend.may_end = True
        await site.ready(BACKENDS)
        guilty, other = site.caller(0.0, "guilty"), site.caller(0.0, "other")
        poison = bench.load(site, name="poison")
        async with poison, bench.load(site, site.caller(RATE)) as load:
            await bench.wait(2.0, short=0.5)
            with bench.fault("a poisonous request"):
                first = await poison.ask(guilty, POISON)
            refused = [await poison.ask(guilty, POISON) for _ in range(AGAIN)]
            dead = sum(each.status is not None for each in backends)
            for number, backend in enumerate(backends):
                if backend.status is not None:
                    site.backend(f"b{number}").may_end = True
            await site.ready(BACKENDS)
            bench.step("the dead are replaced")
            refused.append(await poison.ask(guilty, POISON))
            model.order()
            told = bench.step("the model is mended")
            still = await poison.ask(guilty, POISON)
            others = await poison.ask(other, POISON)
            await bench.wait(1.0, short=0.2)
    executions = site.executions(bench.began)
    ran = sum(each.number == POISON and each.at < told for each in executions)
    bench.hold(
        took_with_it(dead, 2),
        none_failed(load.history, "no innocent request failed"),
        no_request_executed_over(executions),
        Verdict(ran == dead, "who is refused isn't executed", f"{ran} executions", f"{dead}"),
        Verdict(
            {each.status for each in (first, *refused, still)} == {500},
            "it is told what became of it",
            f"{sorted({each.status for each in (first, *refused, still)})}",
            "500",
        ),
        Verdict(
            others.outcome == "answered",
            "the same bytes of another tenant are another request",
            f"{others.outcome} {others.status}",
            "answered",
        ),
    )
    bench.figure("lost with it and repeated", f"{_repeated(executions)} requests")


def _repeated(executions: list[Execution]) -> int:
    return len(executions) - len({each.number for each in executions})


EXPERIMENT = Experiment(
    "poison", 8, "a request kills every backend that executes it", run, short=True
)
