"""The parts of a report's page below its verdict."""

from collections.abc import Callable, Iterable, Sequence

from gateway.reports.figures import over_time
from gateway.reports.forest import forest
from gateway.reports.markup import Child, Markup, element, foreign, joined, visible
from gateway.reports.measurements import latency_figures, measure_table, score_figures
from gateway.reports.tables import counted, note, table
from gateway.reports.wording import distance, octets, precise
from routing.shadow.record import PairRecord
from routing.shadow.report import Report
from routing.shadow.wording import (
    count,
    level,
    percent,
    point_range,
    points,
    share_range,
)

_WORST = 8  # pairs that are shown before one asks for more
_PAYLOAD = 4000  # characters of stored answers that a page shows


def sections(name: str, report: Report) -> Iterable[Markup]:
    """`name` makes ids unique in the document."""
    if report.timeline:
        yield _section(
            "Agreement",
            over_time(name, report.timeline, report.since, report.now),
            _agreement(report),
        )
    if report.dimensions:
        yield _section("Where it differs", *forest(report))
    if report.service_time is not None and report.latency is not None:
        yield _section(
            "Latency", *latency_figures(name, report, report.service_time, report.latency)
        )
    if report.scores is not None:
        yield _section("Scores", *score_figures(name, report))
    if report.measures:
        yield _section("What the comparison measured", measure_table(report))
    yield _section("Failures and sizes", _failures(report))
    yield _section("What became of the pairs", *_pairs(report))
    if report.worst:
        yield _section("The pairs that differ most", *_worst(report.worst))


def _section(title: str, *content: Markup) -> Markup:
    return element("section", element("h3", title), *content)


def _agreement(report: Report) -> Markup:
    differ = report.disagreement
    rows: list[tuple[Child, ...]] = [
        ("Candidate differs from primary", percent(differ.raw.estimate), share_range(differ.raw))
    ]
    if differ.noise is not None:
        noise = differ.noise
        rows.append(("Primary differs from itself", percent(noise.estimate), share_range(noise)))
    above = differ.above_noise
    rows.append(("Above noise", points(above.estimate), point_range(above)))
    figures = table(
        "Disagreement", ("Of the compared pairs", "Share", f"{level(above)} interval"), rows
    )
    why = counted("What differed", differ.reasons)
    return element("div", figures, why, class_="pair")


def _failures(report: Report) -> Markup:
    errors, sizes = report.errors, report.sizes
    rows: list[tuple[Child, ...]] = [
        (who, percent(rate.estimate), share_range(rate))
        for who, rate in (("Primary", errors.primary), ("Candidate", errors.candidate))
    ]
    rows.append(("Candidate − primary", points(errors.delta.estimate), point_range(errors.delta)))
    failures = table(
        f"Failures by a server’s fault, of {count(errors.known)} pairs",
        ("Who", "Share", f"{level(errors.delta)} interval"),
        rows,
    )
    volume = table(
        "Sizes of the compared answers",
        ("What", "Value"),
        [
            ("Mean of the primary", octets(sizes.primary_mean)),
            ("Mean of the candidate", octets(sizes.candidate_mean)),
            ("Pairs that differ in size", count(sizes.differ)),
        ],
    )
    return element(
        "div", failures, volume, counted("The candidate’s failures", errors.kinds), class_="pair"
    )


def _pairs(report: Report) -> Iterable[Markup]:
    samples = report.samples
    parts = (
        ("compared", "compared", samples.compared),
        ("incomparable", "incomparable", samples.incomparable),
        ("failed", "candidate failed", samples.failed),
        ("dropped", "dropped", samples.dropped),
    )
    total = max(1, samples.sampled)
    yield element(
        "div",
        *[
            element("i", class_=class_, style=f"flex-grow:{n / total:.5f}")
            for class_, _, n in parts
            if n
        ],
        class_="stack",
        aria_hidden="true",
    )
    rows: list[tuple[Child, ...]] = [
        (joined(element("i", class_=f"key block {class_}"), title), count(n), percent(n / total))
        for class_, title, n in parts
    ]
    yield element(
        "div",
        table(f"{count(samples.sampled)} sampled pairs", ("Status", "Pairs", "Share"), rows),
        counted("Why pairs were not compared", samples.reasons),
        class_="pair",
    )
    noise = (
        f"The primary was asked a second time for {count(samples.with_noise)} of them. "
        if samples.with_noise
        else "The primary was never asked a second time. "
    )
    yield note(
        noise,
        f"Beside these, the primary failed or its client went away {count(samples.primary_failed)} "
        "times, which leaves nothing to compare with.",
    )


def _worst(records: Sequence[PairRecord]) -> Iterable[Markup]:
    cells: tuple[tuple[str, Callable[[PairRecord], Child]], ...] = (
        ("Distance", lambda r: distance(r.outcome.distance)),
        ("When", lambda r: element("time", precise(r.at))),
        ("Tenant", lambda r: foreign(r.tenant)),
        ("Label", lambda r: foreign(r.outcome.label)),
        ("Input shape", lambda r: foreign(r.shape)),
        ("What differed", lambda r: foreign(r.outcome.reason)),
        ("Request", lambda r: element("code", foreign(r.request_id))),
        ("Trace", lambda r: element("code", foreign(r.trace_id))),
    )
    columns = [column for column, _ in cells]
    rows = [[make(record) for _, make in cells] for record in records]
    yield table("The largest distances", columns, rows[:_WORST], "cards worst")
    if rows[_WORST:]:
        more = table("The next largest", columns, rows[_WORST:], "cards worst")
        yield element(
            "details", element("summary", f"{count(len(rows) - _WORST)} more pairs"), more
        )
    kept = [record for record in records if record.payloads]
    for record in kept:
        yield element(
            "details",
            element("summary", "Redacted answers of request ", foreign(record.request_id)),
            element("pre", visible(record.payloads, _PAYLOAD)),
        )
    if not kept:
        yield note("Answers themselves are not stored; a trace leads to what is known of them.")
