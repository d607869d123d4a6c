"""A report for a terminal: the verdict first, then what it rests on."""

from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.reports.markup import visible
from gateway.reports.wording import (
    HEADLINES,
    STATES,
    amount,
    bound,
    candidate,
    check_title,
    duration,
    figure,
    moment,
    octets,
    precise,
    primary,
    window,
)
from routing.shadow.figures import Latency
from routing.shadow.report import Report
from routing.shadow.segments import Dimension, Segment
from routing.shadow.verdict import Decision, State
from routing.shadow.wording import (
    count,
    percent,
    point_range,
    points,
    ratio,
    ratio_range,
    share_range,
)

WIDTH = 110  # of a file; a terminal has its own
_NAME = 60  # characters of a foreign name
_BARS = "▁▂▃▄▅▆▇█"

_COLOURS: dict[State | Decision, str] = {
    "met": "green",
    "missed": "red",
    "open": "yellow",
    "promote": "green",
    "dont": "red",
    "not_enough_evidence": "yellow",
}


def plain(reports: Sequence[Report]) -> str:
    """The text without colours, for files."""
    written = StringIO()
    show(reports, Console(file=written, width=WIDTH, color_system=None))
    return written.getvalue()


def show(reports: Sequence[Report], console: Console) -> None:
    """Prints the reports."""
    for report in reports:
        for part in _parts(report):
            console.print(part, highlight=False)
            console.print()


def _parts(report: Report) -> Iterable[RenderableType]:
    yield _verdict(report)
    yield _checks(report)
    yield _disagreement(report)
    for dimension in report.dimensions:
        yield _dimension(dimension)
    if report.service_time is not None and report.latency is not None:
        yield _latency(report, report.service_time, report.latency)
    yield _drift(report)
    if report.measures:
        yield _measures(report)
    yield _pairs(report)
    if report.timeline:
        yield _timeline(report)
    if report.worst:
        yield _worst(report)


def _verdict(report: Report) -> Panel:
    decision = report.verdict.decision
    samples = report.samples
    facts = (
        f"{visible(candidate(report))} (mirror {visible(report.mirror)}) against "
        f"{visible(primary(report))}; {count(samples.compared)} of {count(samples.sampled)} pairs "
        f"compared; {window(report.now - report.since)} until {moment(report.now)}"
    )
    return Panel(
        Text.assemble(
            (HEADLINES[decision], f"bold {_COLOURS[decision]}"),
            "\n",
            visible(report.verdict.reason, 2000),
            "\n\n",
            (facts, "dim"),
        ),
        title=Text(f"Shadow report: {visible(report.route)}"),
        title_align="left",
        border_style=_COLOURS[decision],
        padding=(1, 2),
    )


def _checks(report: Report) -> Table:
    table = _table("Criteria", "Criterion", "Value", "Interval", "Bound", "State")
    for check in report.verdict.checks:
        interval = ""
        if check.interval is not None:
            says = ratio_range if check.name.startswith("latency_") else point_range
            interval = says(check.interval)
        table.add_row(
            check_title(check),
            figure(check, check.value),
            interval,
            bound(check),
            Text(STATES[check.state], style=_COLOURS[check.state]),
        )
    return table


def _disagreement(report: Report) -> Table:
    differ = report.disagreement
    table = _table("Disagreement", "Of the compared pairs", "Share", "Interval")
    table.add_row(
        "Candidate differs from primary", percent(differ.raw.estimate), share_range(differ.raw)
    )
    if differ.noise is None:
        table.add_row("Primary differs from itself", "not measured: taken to be none", "")
    else:
        noise = differ.noise
        table.add_row("Primary differs from itself", percent(noise.estimate), share_range(noise))
    above = differ.above_noise
    table.add_row("Above noise", points(above.estimate), point_range(above))
    for reason, n in differ.reasons:
        table.add_row(_under(reason), count(n), "")
    return table


def _dimension(dimension: Dimension) -> Table:
    name = dimension.name
    table = _table(f"By {name}", name.capitalize(), "Pairs", "Above noise", "Interval", "")
    for segment in dimension.segments:
        _add_segment(table, _name(segment.value), segment)
    if dimension.rest is not None:
        more = count(dimension.distinct - len(dimension.segments))
        least = "at least " if dimension.at_least else ""
        _add_segment(table, Text(f"{least}{more} others"), dimension.rest)
    return table


def _add_segment(table: Table, name: Text, segment: Segment) -> None:
    if not segment.compared:
        table.add_row(name, "0", "", "", "none compared")
        return
    interval = segment.above_noise
    flag = Text("beyond the bound", style="red") if segment.flagged else ""
    cells = (count(segment.compared), points(interval.estimate), point_range(interval))
    table.add_row(name, *cells, flag)


def _latency(report: Report, service: Latency, total: Latency) -> Table:
    table = _table("Latency", "Time", "p50", "p90", "p99", "Mean", "Median difference of a pair")
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
            table.add_row(f"{who}, {title}", *cells, delta)
    for q, r in service.ratios:
        cells = [ratio(r.estimate) if f"p{q * 100:g}" == p else "" for p in ("p50", "p90", "p99")]
        table.add_row("Ratio, without queueing", *cells, "", ratio_range(r))
    return table


def _drift(report: Report) -> Table:
    errors, sizes, scores = report.errors, report.sizes, report.scores
    table = _table("Failures, sizes and scores", "What", "Primary", "Candidate", "Difference")
    table.add_row(
        f"Failures, of {count(errors.known)} pairs",
        percent(errors.primary.estimate),
        percent(errors.candidate.estimate),
        f"{points(errors.delta.estimate)} ({point_range(errors.delta)})",
    )
    for kind, n in errors.kinds:
        table.add_row(_under(kind), "", count(n), "")
    table.add_row(
        "Mean size of an answer",
        octets(sizes.primary_mean),
        octets(sizes.candidate_mean),
        f"{count(sizes.differ)} pairs differ in size",
    )
    if scores is not None:
        psi, ks = scores.psi, scores.ks
        interval = f"({psi.low:.3f} to {psi.high:.3f})"
        table.add_row("Population stability index", "", "", f"{psi.estimate:.3f} {interval}")
        distance = f"{ks.statistic:.3f} (p = {ks.p_value:.3g})"
        table.add_row("Kolmogorov–Smirnov distance", "", "", distance)
    return table


def _measures(report: Report) -> Table:
    columns = ("Measure", "Pairs", "Least", "p50", "p99", "Most", "Not finite")
    table = _table("Measures of the comparison", *columns)
    for each in report.measures:
        values = [amount(value) for value in (each.low, each.p50, each.p99, each.high)]
        table.add_row(_name(each.name), count(each.count), *values, count(each.not_finite))
    if report.measures_left_out:
        table.add_row("left out", count(report.measures_left_out), "", "", "", "", "")
    return table


def _pairs(report: Report) -> Table:
    samples = report.samples
    table = _table("What became of the pairs", "Status", "Pairs", "Share")
    for title, n in (
        ("compared", samples.compared),
        ("incomparable", samples.incomparable),
        ("candidate failed", samples.failed),
        ("dropped", samples.dropped),
    ):
        table.add_row(title, count(n), percent(n / max(1, samples.sampled)))
    for reason, n in samples.reasons:
        table.add_row(_under(reason), count(n), "")
    table.add_row("beside these, the primary failed", count(samples.primary_failed), "")
    table.add_row("the primary was asked twice", count(samples.with_noise), "")
    return table


def _timeline(report: Report) -> Text:
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


def _worst(report: Report) -> Table:
    columns = ("Distance", "When", "Tenant", "What differed", "Request", "Trace")
    table = _table("The pairs that differ most", *columns)
    for record in report.worst:
        table.add_row(
            amount(record.outcome.distance),
            precise(record.at),
            _name(record.tenant),
            _name(record.outcome.reason),
            _name(record.request_id),
            _name(record.trace_id),
        )
    return table


def _table(title: str, first: str, *others: str) -> Table:
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


def _name(text: str) -> Text:
    # Text, as a name may look like markup to a terminal; without what is unseen, such as escapes.
    return Text(visible(text, _NAME) or "none")


def _under(text: str) -> Text:
    return Text(f"  {visible(text, _NAME)}", style="dim")
