"""The plots of a report that lay two distributions over each other: latencies and scores."""

from collections.abc import Sequence
from math import log10

import numpy as np
from numpy.typing import NDArray

from gateway.reports.figures import figure, legend
from gateway.reports.markup import Markup
from gateway.reports.scale import Scale, around, ticks
from gateway.reports.svg import Axis, area, curves, line, plot, stairs
from gateway.reports.wording import amount, duration
from routing.evidence.histogram import Histogram, upper_bound
from routing.shadow.figures import Latency, Scores
from routing.shadow.wording import percent

_SCORE_BINS = 40
_LATENCY_BINS = 60
# Where the percentile plot has its labels: as many nines as are worth a look.
_PERCENTILES = (0.5, 0.9, 0.99, 0.999)


def percentiles(name: str, latency: Latency) -> Markup:
    """Latency by percentile, on a scale on which each nine is as wide as the last."""
    summary = latency.comparison
    total = latency.primary.total
    shown = [q for q in _PERCENTILES if (1 - q) * total >= 1] or [_PERCENTILES[0]]
    x = Scale(0.0, -log10(1 - shown[-1]))
    curves_ = [(_percentiles(h), c) for h, c in _sides(latency)]
    y = around([0.0, *(v for points, _ in curves_ for q, v in points if q <= shown[-1])], 4)
    description = (
        f"The candidate's p50 is {duration(summary.candidate.p50)} and its p99 "
        f"{duration(summary.candidate.p99)}; the primary's are {duration(summary.primary.p50)} and "
        f"{duration(summary.primary.p99)}."
    )
    return figure(
        "By percentile",
        _two_sides(),
        plot(
            f"{name}-percentiles",
            "Latency by percentile",
            description,
            Axis(x, tuple((-log10(1 - q), f"p{q * 100:g}") for q in shown)),
            Axis(y, tuple((value, duration(value) if value else "0") for value in ticks(y, 4))),
            curves(
                *[
                    line(
                        [(x.at(-log10(1 - q)), y.at(v)) for q, v in points if q <= shown[-1]],
                        class_,
                    )
                    for points, class_ in curves_
                ]
            ),
        ),
    )


def latencies(name: str, latency: Latency) -> Markup:
    """How often each latency occurred; times on a logarithmic scale."""
    used = [i for h, _ in _sides(latency) for i, _ in h.items()]
    first, last = min(used), max(used)
    merged = max(1, -(-(last - first + 1) // _LATENCY_BINS))
    bins = (last - first) // merged + 1
    x = Scale(upper_bound(first - 1), upper_bound(first + bins * merged - 1), log=True)
    edges = [index / bins for index in range(bins + 1)]
    heights = [
        (_merged(h, first, merged, bins) / max(1, h.total), class_) for h, class_ in _sides(latency)
    ]
    return _densities(
        f"{name}-latencies",
        "By frequency",
        "Frequency of latencies",
        f"From {duration(x.low)} to {duration(x.high)}.",
        Axis(x, tuple((value, duration(value)) for value in ticks(x, 4))),
        edges,
        heights,
    )


def score_plot(name: str, scores: Scores) -> Markup:
    """The distributions of both scores over each other."""
    values = np.concatenate([scores.primary, scores.candidate])
    x = around([float(values.min()), float(values.max())], 5)
    edges = np.linspace(x.low, x.high, _SCORE_BINS + 1)
    heights = [
        (np.histogram(side.clip(x.low, x.high), edges)[0] / scores.sample, class_)
        for side, class_ in ((scores.primary, "primary"), (scores.candidate, "candidate"))
    ]
    return _densities(
        f"{name}-scores",
        "By frequency",
        "Distributions of the scores",
        f"The largest distance of the distribution functions is {scores.ks.statistic:.3f}.",
        Axis(x, tuple((value, amount(value)) for value in ticks(x, 5))),
        [x.at(float(edge)) for edge in edges],
        heights,
    )


def _densities(
    name: str,
    caption: str,
    title: str,
    description: str,
    x: Axis,
    edges: Sequence[float],
    heights: Sequence[tuple[NDArray[np.float64], str]],
) -> Markup:
    y = Scale(0.0, max(float(each.max()) for each, _ in heights) * 1.08 or 1.0)
    outlines = [(stairs(edges, [y.at(float(h)) for h in each]), class_) for each, class_ in heights]
    return figure(
        caption,
        _two_sides(),
        plot(
            name,
            title,
            description,
            x,
            Axis(y, tuple((value, percent(value)) for value in ticks(y, 3))),
            curves(
                *[area(outline, class_) for outline, class_ in outlines],
                *[line(outline, class_) for outline, class_ in outlines],
            ),
        ),
    )


def _two_sides() -> Markup:
    return legend(("primary", "primary"), ("candidate", "candidate"))


def _sides(latency: Latency) -> tuple[tuple[Histogram, str], ...]:
    return ((latency.primary, "primary"), (latency.candidate, "candidate"))


def _percentiles(histogram: Histogram) -> list[tuple[float, float]]:
    """Share below, and seconds; the last bucket's share is short of 1 by half a request."""
    seen = 0
    points: list[tuple[float, float]] = []
    for index, count in histogram.items():
        points.append((seen / histogram.total, upper_bound(index)))
        seen += count
    return [*points, (1 - 0.5 / histogram.total, points[-1][1])]


def _merged(histogram: Histogram, first: int, width: int, bins: int) -> NDArray[np.float64]:
    heights = np.zeros(bins)
    for index, count in histogram.items():
        heights[(index - first) // width] += count
    return heights
