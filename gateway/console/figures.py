"""Numbers, times and small drawings as the console shows them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite, isnan

from gateway.reports.markup import Markup, element

ABSENT = "–"
_WIDE, _HIGH = 120.0, 28.0  # a sparkline's units
# The heights between none and the highest, written once: a page has thousands of points.
_HEIGHTS = tuple(f"{_HIGH - 1.5 - tenth / 10:.1f}" for tenth in range(int(_HIGH - 4) * 10 + 1))


def rate(value: float) -> str:
    """Requests a second."""
    if value == 0:
        return "0"
    if value < 1:
        return f"{value:.2f}"
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def share(value: float) -> str:
    """`0.4 %`; some is never none."""
    if value == 0:
        return "0 %"
    if value < 0.001:
        return "<0.1 %"
    return f"{value * 100:.1f} %" if value < 0.1 else f"{value * 100:.0f} %"


def duration(seconds: float) -> str:
    """`850 µs`, `12.3 ms`, `1.25 s`, `3 m 20 s`, `2 h 5 m`."""
    if isnan(seconds):
        return ABSENT
    if not isfinite(seconds):
        return "∞"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} m"
    return f"{hours // 24} d {hours % 24} h"


def whole(value: float) -> str:
    return f"{value:,.0f}"


def size(value: float) -> str:
    """Bytes in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def clock(at: float) -> Markup:
    """A moment: `21 Nov 19:50:01 UTC`, and its year in the element."""
    moment = datetime.fromtimestamp(at, UTC)
    return element(
        "time",
        f"{moment.day} {moment:%b %H:%M:%S} UTC",
        datetime=f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z",
        title=f"{moment:%Y-%m-%d}",
    )


def sparkline(values: Sequence[float], title: str, tone: str = "") -> Markup:
    """A line over ten minutes, from zero to its highest value; `title` says it in words.

    What isn't a number is a gap.
    """
    top = max((value for value in values if isfinite(value)), default=0.0)
    scale = (len(_HEIGHTS) - 1) / top if top else 0.0
    pieces: list[list[str]] = [[]]
    for place, value in zip(_places(len(values)), values, strict=True):
        if isfinite(value):
            pieces[-1].append(place + _HEIGHTS[int(value * scale + 0.5)])
        else:
            pieces.append([])
    line = "".join("M" + "L".join(piece) for piece in pieces if len(piece) > 1)
    return element(
        "svg",
        element("title", title),
        element("path", d=f"M0 {_HIGH - 0.5}H{_WIDE:.0f}", class_="ground"),
        element("path", d=line, class_="line") if line else None,
        viewBox=f"0 0 {_WIDE:.0f} {_HIGH:.0f}",
        preserveAspectRatio="none",
        role="img",
        class_=f"spark {tone}".strip(),
    )


@lru_cache(maxsize=8)
def _places(count: int) -> tuple[str, ...]:
    step = _WIDE / max(1, count - 1)
    return tuple(f"{index * step:.1f} " for index in range(count))


def bar(value: float, title: str, tone: str = "") -> Markup:
    """How much of a whole, 0 to 1."""
    width = f"{min(1.0, max(0.0, value)) * 100:.1f}%"
    return element(
        "svg",
        element("title", title),
        element("rect", width="100%", height="100%", rx="3", class_="track"),
        element("rect", width=width, height="100%", rx="3", class_="fill"),
        role="img",
        class_=f"bar {tone}".strip(),
    )
