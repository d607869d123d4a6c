"""Ten times what a model can do, from clients who ask on whatever they are answered."""

from chaos.experiment import Bench, Experiment
from chaos.history import History, quantile
from chaos.invariants import no_server_error, refusals_say_when
from chaos.verdict import Verdict

ROW = 0.02  # seconds: fifty requests a second
TIMES = 10
DEADLINE = 2.0
SETTLED = 2.0  # seconds in which the gateway learns what the model can do
ROUTE = f"""
apiVersion: penstock/v1
kind: Route
metadata: {{name: timed}}
spec:
  match: [{{model: timed}}]
  backends: [{{name: stable, model: timed, version: "1"}}]
  timeouts: {{total: {DEADLINE:g}s}}
"""


async def run(bench: Bench) -> None:
    model = bench.timed(ROW)
    async with bench.site(model, routes={"timed.yaml": ROUTE}) as site:
        site.backend("b0")
        await site.ready(1)
        async with bench.load(site, site.caller(0.5 * model.capacity), name="before"):
            await bench.wait(3.0)
        rate = TIMES * model.capacity
        with bench.fault(f"{rate:g} requests/s of {model.capacity:g}"):
            async with bench.load(site, site.caller(rate)) as load:
                begun = bench.now()
                await bench.wait(14.0)
                ended = bench.now()
    history = load.history.between(begun + SETTLED, ended)
    useful = [each for each in history.of("answered") if each.done < ended]
    share = len(useful) / (ended - begun - SETTLED) / model.capacity
    bench.hold(
        # A deadline that passes in the model is 504; what is hopeless is refused before.
        no_server_error(load.history, but=(503, 504)),
        refusals_say_when(load.history),
        Verdict(share >= 0.9, "goodput", f"{share:.0%} of capacity", "≥ 90 %", timed=True),
        in_time(history),
        _refused_quickly(history),
    )
    bench.figure("late (504)", f"{sum(each.status == 504 for each in load.history)}")
    bench.figure("refused", f"{len(history.of('refused'))} of {len(history)}")


def in_time(history: History) -> Verdict:
    """Whoever was admitted was answered, or was told that it is too late (504)."""
    admitted = [each for each in history if each.status in (200, 504)]
    late = [each for each in admitted if each.status == 504 or each.seconds > DEADLINE]
    p99 = history.of("answered").quantile(0.99)
    return Verdict(
        len(late) <= 0.01 * len(admitted) > 0,
        "p99 of what is admitted",
        f"{len(late)} of {len(admitted)} late, p99 of the answered {p99:.2f} s",
        f"≤ 1 % after {DEADLINE:g} s",
        timed=True,
    )


def _refused_quickly(history: History) -> Verdict:
    """Those that are refused on arrival: others have waited and become hopeless."""
    times = [each.done - each.sent for each in history.of("refused")]
    return Verdict(
        quantile(times, 0.99) <= 0.02,
        "p99 of refusals",
        f"{quantile(times, 0.5) * 1e3:.1f} ms at p50, {quantile(times, 0.99) * 1e3:.1f} at p99",
        "≤ 20 ms",
        timed=True,
    )


EXPERIMENT = Experiment("overload", 4, "ten times what a model can do", run)
