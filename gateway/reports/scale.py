"""Axes: where a value lies between two ends, and which values are worth a label."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor, isfinite, log10

# A scale reaches no further, so that its length is a number; and has steps of more than a rounding
# error of its ends, and of more than the least number of full precision.
_FURTHEST = 1e307
_LEAST = 1e-290
_ROUNDING = 1e-9

_TIME_STEPS = (60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400)


@dataclass(frozen=True, slots=True)
class Scale:
    """`low` and `high` are the ends; on a logarithmic scale both are positive."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """0 at the low end and 1 at the high end; what lies outside is at the nearer end."""
        if not isfinite(value):
            return 1.0 if value > 0 else 0.0
        value = min(self.high, max(self.low, value))
        if self.high == self.low:
            return 0.5
        if self.log:
            return log10(value / self.low) / log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def around(values: list[float], wanted: int = 5) -> Scale:
    """A scale with round ends that holds the finite ones of the values, but those beyond 1e307."""
    finite = [value for value in values if isfinite(value)] or [0.0, 1.0]
    low, high = max(-_FURTHEST, min(finite)), min(_FURTHEST, max(finite))
    largest = max(abs(low), abs(high))
    if high - low <= max(_LEAST, largest * _ROUNDING):
        half = largest / 2 if largest > _LEAST else 0.5
        low, high = low - half, high + half
    step = nice_step(high - low, wanted)
    return Scale(floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step)


def nice_step(span: float, wanted: int) -> float:
    """1, 2 or 5 times a power of ten: about `wanted` of them make the span."""
    power: float = 10.0 ** floor(log10(span / wanted))
    rest = span / wanted / power
    return power * (1.0 if rest < 1.5 else 2.0 if rest < 3.5 else 5.0 if rest < 7.5 else 10.0)


def ticks(scale: Scale, wanted: int = 5) -> Iterator[float]:
    """Round values on the scale; on a logarithmic one 1, 2 and 5 of each power, or only 1."""
    if scale.log:
        yield from _log_ticks(scale, wanted)
        return
    step = nice_step((scale.high - scale.low) or 1.0, wanted)
    for index in range(ceil(scale.low / step - 1e-9), floor(scale.high / step + 1e-9) + 1):
        yield index * step


def _log_ticks(scale: Scale, wanted: int) -> Iterator[float]:
    decades = log10(scale.high / scale.low)
    digits = (1.0, 2.0, 5.0) if decades < wanted / 2 else (1.0,)
    for power in range(floor(log10(scale.low)), ceil(log10(scale.high)) + 1):
        for digit in digits:
            value = digit * 10.0**power
            if scale.low * (1 - 1e-9) <= value <= scale.high * (1 + 1e-9):
                yield value


def time_ticks(scale: Scale, wanted: int = 4) -> Iterator[tuple[float, str]]:
    """Full hours or days in UTC with their labels; midnight is the date."""
    span = scale.high - scale.low
    step = next(
        (s for s in _TIME_STEPS if span / s <= wanted + 1), ceil(span / wanted / 86400) * 86400
    )
    for index in range(ceil(scale.low / step), floor(scale.high / step) + 1):
        at = datetime.fromtimestamp(index * step, UTC)
        midnight = at.hour == at.minute == 0
        yield index * step, f"{at.day} {at:%b}" if midnight else f"{at:%H:%M}"
