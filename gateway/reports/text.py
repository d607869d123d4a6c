"""A report for a terminal: the verdict first, then what it rests on."""

from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.reports.markup import visible
from gateway.reports.text_tables import (
    failures,
    latency,
    measures,
    named,
    pairs,
    table,
    timeline,
    under,
    worst,
)
from gateway.reports.wording import (
    HEADLINES,
    STATES,
    bound,
    candidate,
    check_title,
    figure,
    moment,
    primary,
    window,
)
from routing.shadow.report import Report
from routing.shadow.segments import Dimension, Segment
from routing.shadow.verdict import Decision, State
from routing.shadow.wording import (
    count,
    percent,
    point_range,
    points,
    ratio_range,
    share_range,
)

WIDTH = 110  # of a file; a terminal has its own

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
        yield latency(report, report.service_time, report.latency)
    yield failures(report)
    if report.measures:
        yield measures(report)
    yield pairs(report)
    if report.timeline:
        yield timeline(report)
    if report.worst:
        yield worst(report)


def _verdict(report: Report) -> Panel:
    decision = report.verdict.decision
    samples = report.samples
    facts = (
        f"{visible(candidate(report))} (mirror {visible(report.mirror)}, compared by "
        f"{', '.join(visible(kind) for kind, _ in report.kinds)}) against "
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
    rows = table("Criteria", "Criterion", "Value", "Interval", "Bound", "State")
    for check in report.verdict.checks:
        interval = ""
        if check.interval is not None:
            says = ratio_range if check.name.startswith("latency_") else point_range
            interval = says(check.interval)
        rows.add_row(
            check_title(check),
            figure(check, check.value),
            interval,
            bound(check),
            Text(STATES[check.state], style=_COLOURS[check.state]),
        )
    return rows


def _disagreement(report: Report) -> Table:
    differ = report.disagreement
    rows = table("Disagreement", "Of the compared pairs", "Share", "Interval")
    rows.add_row(
        "Candidate differs from primary", percent(differ.raw.estimate), share_range(differ.raw)
    )
    if differ.noise is None:
        rows.add_row("Primary differs from itself", "not measured: taken to be none", "")
    else:
        noise = differ.noise
        rows.add_row("Primary differs from itself", percent(noise.estimate), share_range(noise))
    above = differ.above_noise
    rows.add_row("Above noise", points(above.estimate), point_range(above))
    for reason, n in differ.reasons:
        rows.add_row(under(reason), count(n), "")
    return rows


def _dimension(dimension: Dimension) -> Table:
    name = dimension.name
    rows = table(f"By {name}", name.capitalize(), "Pairs", "Above noise", "Interval", "")
    for segment in dimension.segments:
        _add_segment(rows, named(segment.value), segment)
    if dimension.rest is not None:
        more = count(dimension.distinct - len(dimension.segments))
        least = "at least " if dimension.at_least else ""
        _add_segment(rows, Text(f"{least}{more} others"), dimension.rest)
    return rows


def _add_segment(rows: Table, name: Text, segment: Segment) -> None:
    if not segment.compared:
        rows.add_row(name, "0", "", "", "none compared")
        return
    interval = segment.above_noise
    flag = Text("beyond the bound", style="red") if segment.flagged else ""
    cells = (count(segment.compared), points(interval.estimate), point_range(interval))
    rows.add_row(name, *cells, flag)
