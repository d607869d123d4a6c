"""The plots of a report: agreement over time, and intervals beside bounds."""

from collections.abc import Sequence

from gateway.reports.markup import Markup, element
from gateway.reports.scale import Scale, around, ticks, time_ticks
from gateway.reports.svg import (
    Axis,
    band,
    curves,
    dot,
    line,
    mark,
    plot,
    strip,
    upright,
    whisker,
)
from gateway.reports.wording import moment
from routing.shadow.timeline import Moment
from routing.shadow.verdict import Check
from routing.shadow.wording import percent


def figure(caption: str, *content: Markup, wide: bool = False) -> Markup:
    title = element("figcaption", caption)
    return element("figure", title, *content, class_="wide" if wide else None)


def legend(*keys: tuple[str, str]) -> Markup:
    """The names of what is drawn, each with its line as a sample: class and text."""
    return element(
        "p",
        *[
            element("span", element("i", class_=f"key {class_}"), text, class_="entry")
            for class_, text in keys
        ],
        class_="legend",
    )


def over_time(name: str, moments: Sequence[Moment], since: float, until: float) -> Markup:
    """Agreement by interval of time, with its interval, beside the primary's with itself."""
    x = Scale(since, max(until, since + 1))
    lowest = [m.agreement.low for m in moments] + [
        m.own_agreement.estimate for m in moments if m.own_agreement
    ]
    y = Scale(min(0.99, around([*lowest, 1.0], 4).low), 1.0)
    bands: list[Markup] = []
    dots: list[Markup] = []
    runs: list[list[tuple[float, float]]] = []
    own: list[list[tuple[float, float]]] = []
    end = None
    for each in moments:
        left, right = x.at(each.start), x.at(each.start + each.seconds)
        middle = (left + right) / 2
        if each.start != end:
            runs.append([])
            own.append([])
        end = each.start + each.seconds
        low, high = y.at(each.agreement.low), y.at(each.agreement.high)
        bands.append(band(left, right - left, low, high, "band"))
        dots.append(dot(middle, y.at(each.agreement.estimate), "candidate"))
        runs[-1].append((middle, y.at(each.agreement.estimate)))
        if each.own_agreement is not None:
            own[-1].append((middle, y.at(each.own_agreement.estimate)))
    worst = min(moments, key=lambda each: each.agreement.estimate)
    level = f"{moments[0].agreement.level * 100:g} %"
    description = (
        f"{len(moments)} intervals of time. The lowest agreement is "
        f"{percent(worst.agreement.estimate)}, from {moment(worst.start)}."
    )
    keys = [("candidate", "candidate with primary"), ("band", f"{level} interval")]
    if any(own):
        keys.append(("primary", "primary with itself"))
    return figure(
        "Over time",
        legend(*keys),
        plot(
            f"{name}-time",
            "Agreement over time",
            description,
            Axis(x, tuple(time_ticks(x))),
            Axis(y, tuple((value, percent(value)) for value in ticks(y, 4))),
            *bands,
            curves(
                *[line(run, "primary") for run in own if len(run) > 1],
                *[line(run, "candidate") for run in runs if len(run) > 1],
            ),
            *dots,
        ),
        wide=True,
    )


def bullet(check: Check) -> Markup | None:
    """The check's interval beside its bound; None for a plain count."""
    interval = check.interval
    if interval is None:
        return None
    neutral = 1.0 if check.name.startswith("latency_") else 0.0
    reach = max(abs(check.bound - neutral), abs(interval.estimate - neutral)) * 2
    scale = Scale(min(neutral, interval.estimate) - reach / 2, neutral + reach)
    return strip(
        whisker(scale, scale.low, scale.high, "track"),
        upright(scale, neutral, "neutral"),
        upright(scale, check.bound, "bound"),
        whisker(scale, interval.low, interval.high, check.state),
        mark(scale, interval.estimate, check.state),
    )
