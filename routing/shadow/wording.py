"""How the figures of a report read in a sentence."""

from math import floor, isinf

from routing.evidence.interval import Interval


def count(n: int) -> str:
    """`12,345`."""
    return f"{n:,}"


def percent(share: float) -> str:
    """`99.2 %`; rounded down, so that what misses a bound doesn't read as if it met it."""
    return f"{floor(share * 1000 + 1e-9) / 10:g} %"


def points(share: float) -> str:
    """A difference of shares: `1.98 pp`, percentage points."""
    return f"{_number(share * 100)} pp"


def point_range(interval: Interval) -> str:
    """`1.71 to 2.27 pp`."""
    return f"{_number(interval.low * 100)} to {_number(interval.high * 100)} pp"


def ratio(value: float) -> str:
    """`1.08×`."""
    return "unbounded" if isinf(value) else f"{value:.2f}×"


def ratio_range(interval: Interval) -> str:
    """`1.02 to 1.15×`, or that the upper end isn't known."""
    if isinf(interval.high):
        return f"{interval.low:.2f}× or more"
    return f"{interval.low:.2f} to {interval.high:.2f}×"


def level(interval: Interval) -> str:
    """`95 %`."""
    return f"{interval.level * 100:g} %"


def _number(value: float) -> str:
    text = f"{value:.2f}"
    # A minus sign, not a hyphen; and no negative zero.
    return "0.00" if text == "-0.00" else text.replace("-", "−")
