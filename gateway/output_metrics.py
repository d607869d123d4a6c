"""What output policies count, as metrics."""

from gateway.metrics import Totals
from policies.output.filter import Output


def register(totals: Totals, output: Output) -> None:
    """Adds the counters to those of a worker; labels are bounded by what documents say."""

    def found() -> dict[tuple[str, ...], float]:
        return {
            (route, mode, what): count
            for (route, mode), counts in output.found.items()
            for what, count in counts.items()
        }

    def refused() -> dict[tuple[str, ...], float]:
        return {(route,): count for route, count in output.refused.items()}

    def unjudged() -> dict[tuple[str, ...], float]:
        return {(route,): count for route, count in output.unjudged.items()}

    totals.add_labelled(
        "penstock_output_found",
        "What models said that an output policy is about, by entity, pattern or label.",
        ("route", "mode", "found"),
        found,
    )
    totals.add_labelled(
        "penstock_output_refused", "Replies that an output policy refused.", ("route",), refused
    )
    totals.add_labelled(
        "penstock_output_unjudged",
        "Times that an output policy's classifier gave no judgement.",
        ("route",),
        unjudged,
    )
