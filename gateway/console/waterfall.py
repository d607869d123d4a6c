"""One request's spans against time, as a trace viewer draws them: without script, by keyboard.

Each span is a line that opens (`details`), so that what is known of it is a key press away. Places
are percentages of the drawing, so it stretches to any width.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.console.figures import duration
from gateway.console.frame import listing
from gateway.reports.markup import Markup, element, joined, visible
from gateway.reports.scale import Scale, ticks

DEEPEST = 6  # levels that are indented
_ROOM = 1.15  # beyond the end of the longest span, for its label
_LABEL_LEFT = 0.7  # from here on a label stands before its bar
_KINDS = (
    ("SERVER", "the request"),
    ("INTERNAL", "a stage of the gateway that waited"),
    ("CLIENT", "an attempt at a backend"),
    ("backend", "in the backend, as it told"),
)

Span = Mapping[str, Any]


def waterfall(spans: Sequence[Span]) -> Markup:
    """The spans of `GET /admin/requests/recent`, the request's own first."""
    length = max(max(each["start_us"] + each["duration_us"] for each in spans), 1.0)
    scale = Scale(0.0, length * _ROOM)
    lines = [_line(span, depth, scale) for span, depth in _in_order(spans)]
    kinds = {_class(span) for span in spans}
    legend = [
        element(
            "li",
            element(
                "svg",
                element("rect", width="100%", height="100%", rx="3", class_=kind),
                aria_hidden="true",
            ),
            said,
        )
        for kind, said in _KINDS
        if kind in kinds
    ]
    return joined(
        element("div", _axis(scale), *lines, class_="waterfall"),
        listing(*legend, class_="legend"),
    )


def _in_order(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    """Children below their parents, in the order in which they began; with their depths.

    What has lost its parent stands below the request.
    """
    known = {span["id"] for span in spans}
    children: dict[str, list[Span]] = {}
    for span in spans[1:]:
        parent = span["parent"] if span["parent"] in known else spans[0]["id"]
        children.setdefault(parent, []).append(span)
    waiting = [(spans[0], 0)]
    while waiting:
        span, depth = waiting.pop()
        yield span, depth
        below = sorted(children.pop(span["id"], ()), key=lambda each: -float(each["start_us"]))
        waiting += [(each, depth + 1) for each in below]


def _line(span: Span, depth: int, scale: Scale) -> Markup:
    took = duration(span["duration_us"] / 1e6)
    name = visible(span["name"])
    said = element(
        "div",
        name,
        element("small", span["error"], class_="bad") if span["error"] else None,
        class_=f"name depth-{min(depth, DEEPEST)}",
    )
    lane = _lane(span, scale, f"{name}: {took}, {duration(span['start_us'] / 1e6)} after the start")
    return element(
        "details",
        element("summary", said, lane, class_="span"),
        _attributes(span),
        id=f"span-{span['id']}",
    )


def _lane(span: Span, scale: Scale, title: str) -> Markup:
    start, end = (scale.at(at) for at in (span["start_us"], span["start_us"] + span["duration_us"]))
    failed = "failed" if span["error"] else _class(span)
    before = start > _LABEL_LEFT
    events = [
        element(
            "circle",
            element("title", f"{event['name']}: {duration(event['at_us'] / 1e6)}"),
            cx=_share(scale.at(event["at_us"])),
            cy="50%",
            r="3",
            class_="event",
        )
        for event in span["events"]
    ]
    return element(
        "svg",
        element("title", title),
        *_grid(scale),
        element(
            "rect",
            x=_share(start),
            width=_share(max(end - start, 0.002)),
            y="25%",
            height="50%",
            rx="3",
            class_=failed,
        ),
        *events,
        element(
            "text",
            duration(span["duration_us"] / 1e6),
            x=_share(start if before else end),
            y="50%",
            dx="-6" if before else "6",
            dy="0.34em",
            text_anchor="end" if before else "start",
        ),
        role="img",
        class_="lane",
    )


def _axis(scale: Scale) -> Markup:
    labels = [
        element("text", duration(at / 1e6) if at else "0", x=_share(scale.at(at)), y="70%")
        for at in ticks(scale, 4)
        if scale.at(at) < 0.95
    ]
    lane = element("svg", *_grid(scale), *labels, class_="lane", aria_hidden="true")
    return element("div", element("div", "Stage", class_="name"), lane, class_="span axis")


def _grid(scale: Scale) -> list[Markup]:
    places = [_share(scale.at(at)) for at in ticks(scale, 4)]
    return [element("line", x1=at, x2=at, y1="-20%", y2="120%", class_="grid") for at in places]


def _attributes(span: Span) -> Markup:
    facts: dict[str, object] = {
        "starts after": duration(span["start_us"] / 1e6),
        "takes": duration(span["duration_us"] / 1e6),
        "kind": span["kind"].lower(),
        **{event["name"]: duration(event["at_us"] / 1e6) for event in span["events"]},
        **span["attributes"],
    }
    items = [
        joined(element("dt", visible(name)), element("dd", visible(_text(value))))
        for name, value in facts.items()
    ]
    return element("dl", *items, class_="attributes")


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _class(span: Span) -> str:
    return "backend" if span["attributes"].get("penstock.estimated") else str(span["kind"])


def _share(value: float) -> str:
    return f"{value * 100:.2f}%"
