"""Disagreement by segment as a forest plot: a table whose last column draws the intervals."""

from collections.abc import Iterable

from gateway.reports.figures import legend
from gateway.reports.markup import Child, Markup, element, foreign, joined
from gateway.reports.scale import Scale, ticks
from gateway.reports.svg import mark, share, strip, upright, whisker
from gateway.reports.tables import note, table
from routing.evidence.interval import Interval
from routing.shadow.report import Report
from routing.shadow.segments import Dimension, Segment
from routing.shadow.wording import count, point_range, points


def forest(report: Report) -> Iterable[Markup]:
    bound = report.criteria.max_above_noise
    scale = _forest_scale(report, bound)
    shown = sum(len(each.segments) for each in report.dimensions)
    yield legend(
        ("thick", f"{report.criteria.level * 100:g} % interval"),
        ("thin", "for all segments together"),
        ("bound", f"bound, {points(bound)}"),
    )
    for dimension in report.dimensions:
        yield _dimension(dimension, scale, bound)
    yield note(
        f"Disagreement above noise by segment. Of {shown} segments some look bad by chance, so one "
        f"is flagged only if the interval that holds for all of them together (Bonferroni) lies "
        f"beyond the bound."
    )


def _forest_scale(report: Report, bound: float) -> Scale:
    # A handful of pairs has an interval as wide as the page; arrows stand for what is cut.
    segments = [s for each in report.dimensions for s in each.segments if s.compared]
    large = [s.corrected for s in segments if s.compared * 100 >= report.samples.compared]
    high = max([2 * bound, *(each.high for each in large)])
    low = min([-bound, *(each.low for each in large)])
    return Scale(max(low, -high), high)


def _dimension(dimension: Dimension, scale: Scale, bound: float) -> Markup:
    rows = [_segment_row(each, foreign(each.value), scale, bound) for each in dimension.segments]
    if dimension.rest is not None:
        more = dimension.distinct - len(dimension.segments)
        others = f"{'at least ' if dimension.at_least else ''}{count(more)} others"
        rows.append(_segment_row(dimension.rest, element("em", others), scale, bound))
    columns = (dimension.name.capitalize(), "Pairs", "Above noise", _axis(scale))
    return table(f"By {dimension.name}", columns, rows, "forest")


def _segment_row(segment: Segment, name: Markup, scale: Scale, bound: float) -> tuple[Child, ...]:
    interval = segment.above_noise
    figures = joined(
        points(interval.estimate),
        element("small", f" {point_range(interval)}"),
        element("strong", "beyond the bound", class_="flag") if segment.flagged else None,
    )
    drawing = _strip(scale, bound, segment.corrected, interval, segment.flagged)
    return name, count(segment.compared), figures if segment.compared else "none compared", drawing


def _strip(scale: Scale, bound: float, wide: Interval, interval: Interval, flagged: bool) -> Markup:
    """A segment: the corrected interval thin, its own thick."""
    class_ = "missed" if flagged else "plain"
    return strip(
        upright(scale, 0.0, "neutral"),
        upright(scale, bound, "bound"),
        whisker(scale, wide.low, wide.high, f"{class_} thin"),
        whisker(scale, interval.low, interval.high, class_),
        mark(scale, interval.estimate, class_),
    )


def _axis(scale: Scale) -> Markup:
    """The head of a column of such strips."""
    inner = [value for value in ticks(scale, 4) if 0.05 < scale.at(value) < 0.95]
    drawn = [
        element(
            "text",
            f"{value * 100:g} pp".replace("-", "−"),
            x=share(scale.at(value)),
            y="50%",
            dy="0.32em",
            class_="tick",
        )
        for value in inner
    ]
    return joined(element("span", "Interval", class_="unseen"), strip(*drawn))
