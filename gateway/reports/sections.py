"""The parts of a report's page below its verdict."""

from collections.abc import Callable, Iterable, Sequence

from gateway.reports.figures import (
    latencies,
    over_time,
    percentiles,
    score_plot,
)
from gateway.reports.forest import forest
from gateway.reports.markup import Child, Markup, element, foreign, joined, visible
from gateway.reports.tables import counted, note, table
from gateway.reports.wording import amount, distance, duration, octets, precise
from routing.evidence.drift import PSI_LARGE, PSI_SLIGHT
from routing.shadow.figures import Latency
from routing.shadow.record import PairRecord
from routing.shadow.report import Report
from routing.shadow.wording import (
    count,
    level,
    percent,
    point_range,
    points,
    ratio,
    ratio_range,
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
        yield _section("Latency", *_latency(name, report, report.service_time, report.latency))
    if report.scores is not None:
        yield _section("Scores", *_scores(name, report))
    if report.measures:
        yield _section("What the comparison measured", _measures(report))
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


def _latency(name: str, report: Report, service: Latency, total: Latency) -> Iterable[Markup]:
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


def _scores(name: str, report: Report) -> Iterable[Markup]:
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


def _measures(report: Report) -> Markup:
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
