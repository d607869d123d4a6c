"""An experiment's history drawn over its time: latencies, what failed, what was broken and when."""

from collections.abc import Sequence

from chaos.history import History, Outcome, quantile
from chaos.verdict import Step
from gateway.reports.markup import Markup, element, joined
from gateway.reports.scale import Scale, around, ticks
from gateway.reports.svg import Axis, band, curves, line, plot, share
from gateway.reports.wording import duration

_BINS = 120
_LEAST = 1e-3  # seconds; the lower end of the scale of latencies


def timeline(name: str, history: History, steps: Sequence[Step]) -> Markup:
    """Median and slowest latency of answers by when they were planned, with faults behind them."""
    begin = min(each.planned for each in history)
    end = max([each.planned for each in history] + [step.until or step.at for step in steps])
    x = Scale(min([begin, *(step.at for step in steps)]), end)
    answered = history.of("answered")
    slowest = max(answered.quantile(1.0), _LEAST * 10) if len(answered) else 1.0
    y = Scale(_LEAST, slowest * 1.2, log=True)
    median, most = _curves(answered, x)
    return plot(
        f"{name}-timeline",
        "Latencies over the experiment's time",
        f"{len(history)} requests in {end - begin:.0f} s; the slowest answer took "
        f"{duration(slowest)}.",
        Axis(x, tuple((value, f"{value:g} s") for value in _seconds(x))),
        Axis(y, tuple((value, duration(value)) for value in ticks(y, 4))),
        *[_fault(step, x) for step in steps],
        curves(
            line([(x.at(at), y.at(value)) for at, value in most], "most"),
            line([(x.at(at), y.at(value)) for at, value in median], "median"),
        ),
        *_marks(history, x, ("refused", "refused"), 0.96),
        *_marks(history, x, ("left", "left"), 0.92),
        *_marks(history, x, ("failed", "bad"), 1.0),
        *_marks(history, x, ("cut", "bad"), 1.0),
        *_marks(history, x, ("lost", "bad"), 1.0),
    )


def _seconds(x: Scale) -> list[float]:
    return [value for value in ticks(around([x.low, x.high], 6), 6) if x.low <= value <= x.high]


def _curves(
    answered: History, x: Scale
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Medians and maxima of the bins that have answers, at the bins' middles."""
    width = (x.high - x.low) / _BINS or 1.0
    bins: dict[int, list[float]] = {}
    for each in answered:
        bins.setdefault(int((each.planned - x.low) / width), []).append(each.seconds)
    found = [(x.low + (index + 0.5) * width, values) for index, values in sorted(bins.items())]
    return (
        [(at, quantile(values, 0.5)) for at, values in found],
        [(at, max(values)) for at, values in found],
    )


def _fault(step: Step, x: Scale) -> Markup:
    begun = x.at(step.at)
    if step.until is None:
        return joined(
            element("line", x1=share(begun), x2=share(begun), y1="0", y2="100%", class_="happened"),
            element("title", step.what),
        )
    return band(begun, max(0.002, x.at(step.until) - begun), 0.0, 1.0, "broken-band")


def _marks(history: History, x: Scale, kind: tuple[Outcome, str], height: float) -> list[Markup]:
    """One dot for each bin in which there was such an outcome."""
    outcome, class_ = kind
    width = (x.high - x.low) / _BINS or 1.0
    used = sorted({int((each.planned - x.low) / width) for each in history.of(outcome)})
    return [
        element(
            "circle",
            cx=share(x.at(x.low + (index + 0.5) * width)),
            cy=share(1 - height),
            r="3",
            class_=f"outcome {class_}",
        )
        for index in used
    ]
