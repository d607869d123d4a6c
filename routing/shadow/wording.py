"""How the figures of a report read in a sentence."""

from math import floor, isinf

from routing.evidence.interval import Interval


def count(n: int) -> str:
    """`12,345`."""
    return f"{n:,}"


def percent(share: float) -> str:
    """`99.2 %`, `0.34 %`.

    Rounded down, so that what misses a bound doesn't read as if it met it; but some isn't none.
    """
    if 0 < share < 0.0001:
        return "<0.01 %"
    scale = 100 if share < 0.1 or share > 0.9 else 10
    return f"{floor(share * 100 * scale + 1e-9) / scale:g} %"


def share_range(interval: Interval) -> str:
    """`2.33 to 2.77 %`."""
    return f"{_number(interval.low * 100)} to {_number(interval.high * 100)} %"


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
