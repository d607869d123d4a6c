"""Plots as inline SVG that keep their type size at any width.

Positions are percentages of the drawing, so it stretches without a view box; only curves lie in a
nested drawing whose box does stretch, with strokes that don't scale. Labels stand outside of the
plot's box, where the style sheet leaves room for them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.reports.markup import Markup, element, joined
from gateway.reports.scale import Scale

_FULL = 1000  # the nested drawing's units


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale, and the labels that are worth writing: value and text."""

    scale: Scale
    labels: tuple[tuple[float, str], ...]


def share(value: float) -> str:
    """0.25 as `25%`."""
    return f"{value * 100:.2f}%"


def plot(name: str, title: str, description: str, x: Axis, y: Axis, *content: Markup) -> Markup:
    """The frame with its axes around the content. `name` is unique in the document."""
    grid = [
        element("line", x1="0", x2="100%", y1=up, y2=up, class_="grid")
        for up in (share(1 - y.scale.at(value)) for value, _ in y.labels)
    ]
    left = [
        element(
            "text", text, x="-8", y=share(1 - y.scale.at(value)), dy="0.32em", class_="tick left"
        )
        for value, text in y.labels
    ]
    below = [
        element("text", text, x=share(x.scale.at(value)), y="100%", dy="1.5em", class_="tick below")
        for value, text in x.labels
    ]
    notches = [
        element("line", x1=at, x2=at, y1="100%", y2="100%", class_="notch")
        for at in (share(x.scale.at(value)) for value, _ in x.labels)
    ]
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *grid,
        *content,
        *notches,
        *left,
        *below,
        class_="plot",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def curves(*paths: Markup) -> Markup:
    """Paths of `line` and `area`, stretched over the plot."""
    return element(
        "svg",
        *paths,
        viewBox=f"0 0 {_FULL} {_FULL}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
        overflow="visible",
    )


def line(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """Through points in shares of the plot, from its lower left corner."""
    return element("path", d=_moves(points), class_=f"curve {class_}")


def area(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Between the points and the lower end."""
    closed = [(points[0][0], 0.0), *points, (points[-1][0], 0.0)] if points else []
    return element("path", d=_moves(closed) + "Z", class_=f"area {class_}")


def stairs(bounds: Sequence[float], heights: Sequence[float]) -> list[tuple[float, float]]:
    """The outline of bars between the bounds, of which there is one more than heights."""
    outline = [(bounds[0], 0.0)]
    for index, height in enumerate(heights):
        outline += [(bounds[index], height), (bounds[index + 1], height)]
    return [*outline, (bounds[-1], 0.0)]


def band(x: float, width: float, low: float, high: float, class_: str) -> Markup:
    """A rectangle, in shares of the plot."""
    return element(
        "rect",
        x=share(x),
        y=share(1 - high),
        width=share(width),
        height=share(high - low),
        class_=class_,
    )


def dot(x: float, y: float, class_: str) -> Markup:
    return element("circle", cx=share(x), cy=share(1 - y), r="2.5", class_=class_)


def whisker(scale: Scale, low: float, high: float, class_: str) -> Markup:
    """An interval at half height; an arrow stands for an end that is beyond the scale."""
    ends = (share(scale.at(low)), share(scale.at(high)))
    beyond = [
        element("text", sign, x=at, y="50%", dy="0.34em", class_=f"beyond {class_}")
        for at, sign, out in ((ends[0], "‹", low < scale.low), (ends[1], "›", high > scale.high))
        if out
    ]
    return joined(
        element("line", x1=ends[0], x2=ends[1], y1="50%", y2="50%", class_=f"whisker {class_}"),
        *beyond,
    )


def strip(*content: Markup) -> Markup:
    """A one-line drawing whose figures stand beside it as text."""
    return element("svg", *content, class_="strip", aria_hidden="true")


def upright(scale: Scale, value: float, class_: str) -> Markup:
    """A line across the height of a strip."""
    at = share(scale.at(value))
    return element("line", x1=at, x2=at, y1="0", y2="100%", class_=class_)


def mark(scale: Scale, value: float, class_: str) -> Markup:
    return element("circle", cx=share(scale.at(value)), cy="50%", r="4", class_=f"mark {class_}")


def _moves(points: Iterable[tuple[float, float]]) -> str:
    written = [f"{x * _FULL:.1f} {(1 - y) * _FULL:.1f}" for x, y in points]
    return "M" + "L".join(written) if written else ""
