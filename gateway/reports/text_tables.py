"""The tables of a report for a terminal."""

from rich.table import Table
from rich.text import Text

from gateway.reports.markup import visible
from gateway.reports.wording import amount, distance, duration, moment, octets, precise
from routing.shadow.figures import Latency
from routing.shadow.report import Report
from routing.shadow.wording import count, percent, point_range, points, ratio, ratio_range

_NAME = 60  # characters of a foreign name
_BARS = "▁▂▃▄▅▆▇█"


def table(title: str, first: str, *others: str) -> Table:
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="dim",
    )
    # Folded, not cut: an identifier without its end is none.
    table.add_column(first, overflow="fold")
    for column in others:
        table.add_column(column, overflow="fold")
    return table


def named(text: str) -> Text:
    # Text, as a name may look like markup to a terminal; without what is unseen, such as escapes.
    return Text(visible(text, _NAME) or "none")


def under(text: str) -> Text:
    return Text(f"  {visible(text, _NAME)}", style="dim")


def latency(report: Report, service: Latency, total: Latency) -> Table:
    rows = table("Latency", "Time", "p50", "p90", "p99", "Mean", "Median difference of a pair")
    kinds = [("without queueing", service), ("in all", total)]
    if report.first_part is not None:
        kinds.append(("to the first part", report.first_part))
    for title, latency in kinds:
        both = latency.comparison
        for who, side in (("Primary", both.primary), ("Candidate", both.candidate)):
            delta = ""
            if who == "Candidate" and both.delta is not None:
                d = both.delta
                delta = f"{duration(d.estimate)} ({duration(d.low)} to {duration(d.high)})"
            cells = [duration(value) for value in (side.p50, side.p90, side.p99, side.mean)]
            rows.add_row(f"{who}, {title}", *cells, delta)
    for q, r in service.ratios:
        cells = [ratio(r.estimate) if f"p{q * 100:g}" == p else "" for p in ("p50", "p90", "p99")]
        rows.add_row("Ratio, without queueing", *cells, "", ratio_range(r))
    return rows


def failures(report: Report) -> Table:
    errors, sizes, scores = report.errors, report.sizes, report.scores
    rows = table("Failures, sizes and scores", "What", "Primary", "Candidate", "Difference")
    rows.add_row(
        f"Failures, of {count(errors.known)} pairs",
        percent(errors.primary.estimate),
        percent(errors.candidate.estimate),
        f"{points(errors.delta.estimate)} ({point_range(errors.delta)})",
    )
    for kind, n in errors.kinds:
        rows.add_row(under(kind), "", count(n), "")
    rows.add_row(
        "Mean size of an answer",
        octets(sizes.primary_mean),
        octets(sizes.candidate_mean),
        f"{count(sizes.differ)} pairs differ in size",
    )
    if scores is not None:
        psi, ks = scores.psi, scores.ks
        interval = f"({psi.low:.3f} to {psi.high:.3f})"
        rows.add_row("Population stability index", "", "", f"{psi.estimate:.3f} {interval}")
        distance = f"{ks.statistic:.3f} (p = {ks.p_value:.3g})"
        rows.add_row("Kolmogorov–Smirnov distance", "", "", distance)
    return rows


def measures(report: Report) -> Table:
    columns = ("Measure", "Pairs", "Least", "p50", "p99", "Most", "Not finite")
    rows = table("Measures of the comparison", *columns)
    for each in report.measures:
        values = [amount(value) for value in (each.low, each.p50, each.p99, each.high)]
        rows.add_row(named(each.name), count(each.count), *values, count(each.not_finite))
    if report.measures_left_out:
        rows.add_row("left out", count(report.measures_left_out), "", "", "", "", "")
    return rows


def pairs(report: Report) -> Table:
    samples = report.samples
    rows = table("What became of the pairs", "Status", "Pairs", "Share")
    for title, n in (
        ("compared", samples.compared),
        ("incomparable", samples.incomparable),
        ("candidate failed", samples.failed),
        ("dropped", samples.dropped),
    ):
        rows.add_row(title, count(n), percent(n / max(1, samples.sampled)))
    for reason, n in samples.reasons:
        rows.add_row(under(reason), count(n), "")
    rows.add_row("beside these, the primary failed", count(samples.primary_failed), "")
    rows.add_row("the primary was asked twice", count(samples.with_noise), "")
    return rows


def timeline(report: Report) -> Text:
    moments = report.timeline
    lowest = min(moments, key=lambda each: each.agreement.estimate)
    floor = min(0.99, lowest.agreement.estimate)
    heights = [(each.agreement.estimate - floor) / (1 - floor) for each in moments]
    return Text.assemble(
        ("Agreement over time", "bold"),
        f"\n{''.join(_BARS[round(height * (len(_BARS) - 1))] for height in heights)}\n",
        (
            f"from {percent(floor)} to 100 %; the lowest is {percent(lowest.agreement.estimate)}, "
            f"from {moment(lowest.start)}",
            "dim",
        ),
    )


def worst(report: Report) -> Table:
    columns = ("Distance", "When", "Tenant", "What differed", "Request", "Trace")
    rows = table("The pairs that differ most", *columns)
    for record in report.worst:
        rows.add_row(
            distance(record.outcome.distance),
            precise(record.at),
            named(record.tenant),
            named(record.outcome.reason),
            named(record.request_id),
            named(record.trace_id),
        )
    return rows
