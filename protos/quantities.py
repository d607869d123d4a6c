"""Durations, sizes and addresses as people write them in YAML, validated into plain numbers.

A bare number is refused: `timeout: 5` has been read as milliseconds once too often.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]+)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    **{"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40},
}


def seconds(text: object) -> float:
    """`500ms`, `5s`, `15m` in seconds; ValueError says what is wrong."""
    number, unit = _split(text, "a duration", "500ms, 5s or 15m")
    if unit not in _SECONDS:
        raise ValueError(f"a duration's unit is one of {', '.join(_SECONDS)}, not {unit!r}")
    return round(float(number) * _SECONDS[unit], 9)


def size(text: object) -> int:
    """`16KiB`, `64MiB`, `2GB` in bytes; ValueError says what is wrong."""
    number, unit = _split(text, "a size", "16KiB or 64MiB")
    if unit not in _BYTES:
        raise ValueError(f"a size's unit is one of {', '.join(_BYTES)}, not {unit!r}")
    amount = Fraction(number) * _BYTES[unit]
    if amount.denominator != 1:
        raise ValueError(f"{text} is not a whole number of bytes")
    return int(amount)


def _split(text: object, what: str, examples: str) -> tuple[str, str]:
    match = _NUMBER.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{what} is written as a number with its unit, such as {examples}")
    return match[1], match[2]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or connect; port 0 asks for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def plus(self, offset: int) -> "Address":
        """The same host `offset` ports on; a free port stays a free port."""
        return Address(self.host, self.port + offset if self.port else 0)


def address(text: object) -> Address:
    """`127.0.0.1:8000`, `[::1]:8000`, `gateway:8003`; ValueError says what is wrong."""
    if isinstance(text, Address):
        return text
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address is written in brackets, such as [::1]:8000")
    if not host or not colon:
        raise ValueError("an address is written host:port, such as 127.0.0.1:8000")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{port!r} is not a port: a number from 0 to 65535")
    return Address(host, int(port))


def _written_seconds(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def _written_size(value: int) -> str:
    for unit, scale in reversed(_BYTES.items()):
        if value and value % scale == 0:
            return f"{value // scale}{unit}"
    return "0B"


def _schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


# Seconds as a float, bytes as an int, and host with port. A model's defaults are written with the
# functions above: `wait: Duration = seconds("5s")`.
Duration = Annotated[
    float,
    BeforeValidator(seconds),
    PlainSerializer(_written_seconds),
    _schema(rf"^[0-9]+(\.[0-9]+)?({'|'.join(_SECONDS)})$", "5s"),
]
Size = Annotated[
    int,
    BeforeValidator(size),
    PlainSerializer(_written_size),
    _schema(rf"^[0-9]+(\.[0-9]+)?({'|'.join(_BYTES)})$", "64MiB"),
]
HostPort = Annotated[
    Address,
    PlainValidator(address),
    PlainSerializer(str),
    _schema(r"^.+:[0-9]{1,5}$", "127.0.0.1:8000"),
]
