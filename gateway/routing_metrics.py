"""What the parts of the pipeline count, as metrics."""

from gateway.metrics import Totals
from gateway.pipeline import Pipeline
from gateway.store.recorder import Recorder
from policies.fair.filter import Fair
from routing.decisions import Decision
from routing.shadow.record import PairRecord

MIRROR = ("route", "mirror", "outcome")
OUTCOMES = ("compared", "failed", "primary_failed", "incomparable", "dropped")


def register(
    totals: Totals,
    pipeline: Pipeline,
    pairs: Recorder[PairRecord],
    decisions: Recorder[Decision] | None,
) -> None:
    """Adds the counters of a worker's pipeline and of the records that it writes.

    `decisions` is None where none are recorded.
    """
    retry, hedge, pick = pipeline.retry, pipeline.hedge, pipeline.pick
    split, circuit, pairing = pipeline.split, pipeline.circuit, pipeline.mirror.pairing
    add = totals.add
    add("penstock_retries", "Attempts after the first.", lambda: retry.retries)
    add("penstock_hedges", "Second attempts because the first took long.", lambda: hedge.hedges)
    add("penstock_hedge_wins", "Second attempts that answered first.", lambda: hedge.wins)
    add(
        "penstock_panic_picks",
        "Picks made when most endpoints of a model were in doubt.",
        lambda: pick.panics,
    )
    add(
        "penstock_ejections",
        "Endpoints taken out of the choice because they failed.",
        lambda: pick.outliers.ejections,
    )
    add("penstock_circuit_refusals", "Requests to an arm that was full.", lambda: circuit.refusals)
    add("penstock_fallbacks", "Requests that another arm took over.", lambda: split.fallbacks)
    add(
        "penstock_shadow_records_dropped",
        "Comparisons that were not recorded: too many waited, or they failed.",
        lambda: pairing.overflowed + pairing.failed + pairs.dropped,
    )
    add("penstock_shadow_records_written", "Comparisons recorded.", lambda: pairs.written)
    if decisions is not None:
        add(
            "penstock_decision_records_dropped",
            "Decisions that were not recorded: too many waited, or the store refused them.",
            lambda: decisions.dropped,
        )
        add("penstock_decision_records_written", "Decisions recorded.", lambda: decisions.written)

    def limited() -> dict[tuple[str, ...], float]:
        return {tuple(name): count for name, count in pipeline.limits.refused.items()}

    totals.add_labelled(
        "penstock_limit_allowed",
        "Requests that a limit let pass.",
        ("route", "per", "counts", "mode"),
        lambda: {tuple(name): count for name, count in list(pipeline.limits.allowed.items())},
    )
    totals.add_labelled(
        "penstock_limited",
        "Requests over a limit: refused, or only counted where the mode is observe.",
        ("route", "per", "counts", "mode"),
        limited,
    )

    _register_fairness(totals, pipeline.fair)

    def mirrored() -> dict[tuple[str, ...], float]:
        return {
            (route, mirror, outcome): getattr(counts, outcome)
            for (route, mirror), counts in pairing.counts.items()
            for outcome in ("sent", "noise_sent", *OUTCOMES)
        }

    totals.add_labelled("penstock_mirrored", "Copies sent, and pairs by outcome.", MIRROR, mirrored)


def _register_fairness(totals: Totals, fair: Fair) -> None:
    def queued() -> dict[tuple[str, ...], float]:
        return {(model,): count for model, count in fair.counts.queued.items()}

    def refused() -> dict[tuple[str, ...], float]:
        return {tuple(key): count for key, count in fair.counts.refused.items()}

    def waiting() -> dict[tuple[str, ...], float]:
        return {(model,): count for model, count in fair.waiting().items()}

    def bounds() -> dict[tuple[str, ...], float]:
        return {(model,): bound for model, bound in fair.bounds().items()}

    totals.add_labelled(
        "penstock_fair_queued", "Requests that waited for a place at a model.", ("model",), queued
    )
    totals.add_labelled(
        "penstock_fair_refused",
        "Requests refused because a model is asked for too much, by what was full.",
        ("model", "tenant", "reason"),
        refused,
    )
    totals.add_gauge(
        "penstock_fair_waiting", "Requests that wait for a place now.", ("model",), waiting
    )
    totals.add_gauge(
        "penstock_in_flight_bound", "What may be in flight to a model.", ("model",), bounds
    )
