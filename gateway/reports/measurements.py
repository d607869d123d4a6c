"""The parts of a report's page on what was measured of each pair: times, scores, figures."""

from collections.abc import Iterable

from gateway.reports.distributions import latencies, percentiles, score_plot
from gateway.reports.markup import Child, Markup, element, foreign, joined
from gateway.reports.tables import note, table
from gateway.reports.wording import amount, duration
from routing.evidence.drift import PSI_LARGE, PSI_SLIGHT
from routing.shadow.figures import Latency
from routing.shadow.report import Report
from routing.shadow.wording import count, level, ratio, ratio_range


def latency_figures(
    name: str, report: Report, service: Latency, total: Latency
) -> Iterable[Markup]:
    yield element("div", percentiles(name, service), latencies(name, service), class_="pair plots")
    kinds = [("Without queueing", service), ("With queueing", total)]
    if report.first_part is not None:
        kinds.append(("To the first part of a stream", report.first_part))
    tables = [_latency_table(title, latency) for title, latency in kinds]
    yield element("div", *tables, class_="pair")
    yield note(
        "The plots show, and the verdict judges, the time without waiting in the backend’s queue: "
        "copies have the lowest priority, so they wait longest, whatever the candidate is like.",
        f" Quantiles are of a random sample of {count(service.sample)} pairs."
        if service.sample < report.samples.compared
        else None,
    )


def _latency_table(title: str, latency: Latency) -> Markup:
    comparison = latency.comparison
    rows: list[tuple[Child, ...]] = [
        (who, *[duration(value) for value in (side.p50, side.p90, side.p99, side.mean)])
        for who, side in (("Primary", comparison.primary), ("Candidate", comparison.candidate))
    ]
    for q, r in latency.ratios:
        both = joined(ratio(r.estimate), element("small", ratio_range(r)))
        place = [both if f"p{q * 100:g}" == column else "" for column in ("p50", "p90", "p99")]
        rows.append(("Ratio", *place, ""))
    said, delta = None, comparison.delta
    if delta is not None:
        said = note(
            f"Candidate − primary, pair by pair: {duration(delta.estimate)} in the median "
            f"({level(delta)} interval {duration(delta.low)} to {duration(delta.high)})."
        )
    figures = table(title, ("Time", "p50", "p90", "p99", "Mean"), rows, "times")
    return element("div", figures, said)


def score_figures(name: str, report: Report) -> Iterable[Markup]:
    scores = report.scores
    if scores is None:
        return
    psi, ks = scores.psi, scores.ks
    meaning = "no change"
    if psi.estimate >= PSI_LARGE:
        meaning = "a change that matters"
    elif psi.estimate >= PSI_SLIGHT:
        meaning = "a slight change"
    wide = element("small", f" {psi.low:.3f} to {psi.high:.3f}")
    chance = "p < 0.001" if ks.p_value < 0.001 else f"p = {ks.p_value:.3f}"
    rows: list[tuple[Child, ...]] = [
        (
            "PSI",
            joined(f"{psi.estimate:.3f}", wide),
            f"population stability index: {meaning} (below {PSI_SLIGHT:g} is none, above "
            f"{PSI_LARGE:g} matters)",
        ),
        (
            "KS",
            f"{ks.statistic:.3f}",
            f"Kolmogorov–Smirnov: largest distance of the distribution functions; {chance}",
        ),
    ]
    yield element(
        "div",
        score_plot(name, scores),
        table("Drift of the scores", ("Statistic", "Value", "Meaning"), rows, "wrap"),
        class_="pair plots",
    )


def measure_table(report: Report) -> Markup:
    rows: list[tuple[Child, ...]] = [
        (
            foreign(each.name),
            count(each.count),
            *[amount(value) for value in (each.low, each.p50, each.p99, each.high)],
            count(each.not_finite) if each.not_finite else "none",
        )
        for each in report.measures
    ]
    columns = ("Measure", "Pairs", "Least", "p50", "p99", "Most", "Not finite")
    left = report.measures_left_out
    return joined(
        table("Over all compared pairs", columns, rows, "cards"),
        note(f"{count(left)} values of further measures were left out.") if left else None,
    )
