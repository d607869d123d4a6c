"""A soak as one page: what was held against it, and each process's curves. No script."""

from collections.abc import Sequence
from statistics import median

from chaos.document import document
from chaos.soak.run import STEADY, Soak
from chaos.soak.samples import QUEUES, Sample, series
from chaos.verdict import Verdict
from gateway.reports.markup import Markup, element
from gateway.reports.scale import Scale, around, ticks
from gateway.reports.svg import Axis, curves, line, plot

_POINTS = 360  # of a curve; each is the median of what was seen in its time
# Field, title, and what a value is divided by and shown with.
_PLOTS = (
    ("uss", "Memory that is only its own", 1024 * 1024, " MiB"),
    ("rss", "Memory in all (RSS)", 1024 * 1024, " MiB"),
    ("tasks", "Tasks of its event loop", 1, ""),
    ("descriptors", "Descriptors", 1, ""),
    ("threads", "Threads", 1, ""),
    ("lag", "How late its timers were", 1e-3, " ms"),
)


def page(found: Soak, about: str) -> str:
    verdicts = found.verdicts()
    kept = all(each.holds for each in verdicts)
    headline = "Nothing grew." if kept else "Not everything is flat."
    return document(
        "Soak report",
        headline,
        about,
        element(
            "main",
            _table(verdicts),
            _asked(found),
            *[_process(found.samples, name) for name in STEADY],
            _queues(found.samples),
        ),
    )


def _table(verdicts: Sequence[Verdict]) -> Markup:
    rows = [
        element(
            "tr",
            element("th", each.what, scope="row"),
            element("td", each.measured),
            element("td", each.wanted),
            element("td", _state(each)),
        )
        for each in verdicts
    ]
    head = element("tr", *[element("th", text) for text in ("what", "found", "wanted", "")])
    return element("table", element("thead", head), element("tbody", *rows))


def _state(verdict: Verdict) -> Markup:
    word, class_ = ("kept", "met") if verdict.holds else ("broken", "missed")
    return element("span", word, class_=f"state {class_}")


def _asked(found: Soak) -> Markup:
    rows = [
        element(
            "tr", element("th", kind, scope="row"), element("td", status), element("td", f"{n:,}")
        )
        for (kind, status), n in sorted(found.statuses.items())
    ]
    head = element("tr", *[element("th", text) for text in ("request", "status", "times")])
    return element(
        "section",
        element("h3", "What was asked, and what came of it"),
        element("table", element("thead", head), element("tbody", *rows)),
    )


def _process(samples: Sequence[Sample], process: str) -> Markup:
    drawn = [
        _plot(
            f"{process}-{what}".replace(" ", "-"),
            title,
            [(at, value / divisor) for at, value in series(samples, process, what)],
            unit,
        )
        for what, title, divisor, unit in _PLOTS
    ]
    return element("section", element("h3", process), element("div", *drawn, class_="pair"))


def _queues(samples: Sequence[Sample]) -> Markup:
    drawn = [
        _plot(name, name, [(each.at, each.queues[name]) for each in samples], "") for name in QUEUES
    ]
    title = element("h3", "What waits in the gateway")
    return element("section", title, element("div", *drawn, class_="pair"))


def _plot(name: str, title: str, points: Sequence[tuple[float, float]], unit: str) -> Markup | None:
    if not points:
        return None
    thinned = _thinned(points)
    # From nothing, so that what is flat looks flat.
    x = Scale(0.0, max(points[-1][0] / 60, 0.1))
    y = around([0.0, max(1e-3, *(value for _, value in thinned))], 4)
    first, last = thinned[0][1], thinned[-1][1]
    return element(
        "figure",
        element("figcaption", title),
        plot(
            name,
            title,
            f"{first:.3g}{unit} at the beginning, {last:.3g}{unit} at the end.",
            Axis(x, tuple((at, f"{at:g} min") for at in ticks(x))),
            Axis(y, tuple((value, f"{value:.4g}{unit}") for value in ticks(y, 4))),
            curves(line([(x.at(at / 60), y.at(value)) for at, value in thinned], "candidate")),
        ),
    )


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    size = -(-len(points) // _POINTS)
    parts = [points[at : at + size] for at in range(0, len(points), size)]
    return [(part[0][0], median(value for _, value in part)) for part in parts]
