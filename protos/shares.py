"""Shares, points, percentiles and rates as people write them in YAML, as plain numbers.

`10%` is a share of something, `0.5pp` a difference between two shares: they are not the same unit,
and writing one for the other is an error.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

from protos.quantities import seconds

_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%")
_POINTS = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)pp")
_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,3})?)")
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kM]?)/((?:[0-9]+(?:\.[0-9]+)?)?[a-z]+)")
_SCALE = {"": 1.0, "k": 1e3, "M": 1e6}


def share(text: object) -> float:
    """`10%` as 0.1; ValueError says what is wrong."""
    return _hundredths(_SHARE, text, "a share is written such as 10% or 0.5%")


def points(text: object) -> float:
    """`0.5pp`, percentage points, as 0.005; ValueError says what is wrong."""
    return _hundredths(_POINTS, text, "percentage points are written such as 0.5pp")


def percentile(text: object) -> float:
    """`p95` as 0.95; ValueError says what is wrong."""
    match = _PERCENTILE.fullmatch(text) if isinstance(text, str) else None
    value = float(match[1]) / 100 if match else 0.0
    if not value:
        raise ValueError("a percentile is written such as p95 or p99.9")
    return round(value, 6)


def _hundredths(pattern: re.Pattern[str], text: object, message: str) -> float:
    match = pattern.fullmatch(text) if isinstance(text, str) else None
    if match is None or float(match[1]) > 100:
        raise ValueError(message)
    return round(float(match[1]) / 100, 9)


@dataclass(frozen=True, slots=True)
class Rate:
    """So much of something in so many seconds."""

    amount: float
    period: float

    @property
    def per_second(self) -> float:
        return self.amount / self.period

    def __str__(self) -> str:
        return f"{self.amount:g}/{self.period:g}s"


def rate(text: object) -> Rate:
    """`100/s`, `100k/1m`, `5/10s`; ValueError says what is wrong."""
    if isinstance(text, Rate):
        return text
    match = _RATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("a rate is written such as 100/s, 100k/1m or 5/10s")
    period = match[3] if match[3][0].isdigit() else f"1{match[3]}"
    found = Rate(float(match[1]) * _SCALE[match[2]], seconds(period))
    if not found.amount or not found.period:
        raise ValueError("a rate is more than zero")
    return found


def _schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


def _written(suffix: str) -> PlainSerializer:
    return PlainSerializer(lambda value: f"{value * 100:.6f}".rstrip("0").rstrip(".") + suffix)


Share = Annotated[
    float,
    BeforeValidator(share),
    _written("%"),
    _schema(r"^[0-9]{1,3}(\.[0-9]{1,6})?%$", "10%"),
]
Points = Annotated[
    float,
    BeforeValidator(points),
    _written("pp"),
    _schema(r"^[0-9]{1,3}(\.[0-9]{1,6})?pp$", "0.5pp"),
]
Percentile = Annotated[
    float,
    BeforeValidator(percentile),
    PlainSerializer(lambda value: f"p{value * 100:g}"),
    _schema(r"^p[0-9]{1,2}(\.[0-9]{1,3})?$", "p95"),
]
PerTime = Annotated[
    Rate,
    PlainValidator(rate),
    PlainSerializer(str),
    _schema(r"^[0-9]+(\.[0-9]+)?[kM]?/([0-9]+(\.[0-9]+)?)?(us|ms|s|m|h|d)$", "100/s"),
]
