"""Figures as the reports write them; what they have in common, whatever the format."""

from datetime import UTC, datetime

from routing.shadow.report import Report
from routing.shadow.verdict import Check, Decision, State
from routing.shadow.wording import count, percent, points, ratio

HEADLINES: dict[Decision, str] = {
    "promote": "Promote",
    "dont": "Don’t promote",
    "not_enough_evidence": "Not enough evidence",
}
STATES: dict[State, str] = {"met": "met", "missed": "missed", "open": "open"}

_CHECKS = {
    "samples": "Compared pairs",
    "coverage": "Coverage",
    "disagreement": "Disagreement above noise",
    "segments": "Segments beyond the bound",
    "error_rate": "Failures beyond the primary’s",
}


def check_title(check: Check) -> str:
    if check.name.startswith("latency_"):
        return f"Latency {check.name.removeprefix('latency_')} by the primary’s"
    return _CHECKS[check.name]


def figure(check: Check, value: float) -> str:
    """A value of the check, in its unit."""
    if check.name.startswith("latency_"):
        return ratio(value)
    if check.name == "coverage":
        return percent(value)
    if check.name in ("disagreement", "error_rate"):
        return points(value)
    return count(int(value))


def bound(check: Check) -> str:
    """What is asked for."""
    least = check.name in ("samples", "coverage")
    return f"{'at least' if least else 'at most'} {figure(check, check.bound)}"


def candidate(report: Report) -> str:
    """`fraud 5`."""
    return f"{report.model} {report.version}".strip()


def primary(report: Report) -> str:
    """`stable 3`, or several; the last may be how many more."""
    return ", ".join(name for name, _ in report.primaries)


def duration(seconds: float) -> str:
    """`340 µs`, `12.3 ms`, `1.20 s`; a minus sign where it is less than none."""
    sign, size = ("−" if seconds < 0 else ""), abs(seconds)
    if size < 0.9995e-3:
        return f"{sign}{size * 1e6:.0f} µs"
    if size < 0.9995:
        return f"{sign}{size * 1e3:.3g} ms"
    return f"{sign}{size:.3g} s"


def amount(value: float) -> str:
    """A measure of unknown unit, with three digits that say something."""
    return f"{value:.3g}".replace("-", "−")


def distance(value: float) -> str:
    """How far apart two answers are; comparisons say 10⁹ where no figure does (another shape)."""
    return amount(value) if value < 1e9 else "∞"


def octets(value: float) -> str:
    """Bytes."""
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} bytes"


def moment(at: float) -> str:
    """`21 Nov 2026, 12:00 UTC`."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when.day} {when:%b %Y, %H:%M} UTC"


def precise(at: float) -> str:
    """RFC 3339 to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def window(seconds: float) -> str:
    """`24 h`, `7 d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (unit == "h" and seconds >= size):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
