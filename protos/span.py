"""Spans as values: what is exported by OTLP, and what the console draws.

Names of attributes are those of OpenTelemetry's semantic conventions where these have one, and
begin with `penstock.` otherwise. Nothing that clients sent stands in them but names of models that
are served and the request's id.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

Value = str | int | float | bool
Attributes = Mapping[str, Value]

NO_ATTRIBUTES: Attributes = {}
LOOKS = 9
SET = 20_000_000  # nanoseconds: more than clocks of different machines lie apart


class SpanKind(IntEnum):
    """The numbers are those of OTLP's `Span.SpanKind`, less one, as in the SDK."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2


class Event(NamedTuple):
    """Something that happened at `at`, nanoseconds since 1970."""

    name: str
    at: int
    attributes: Attributes = NO_ATTRIBUTES


class Link(NamedTuple):
    """Another span that has to do with this one."""

    trace_id: int
    span_id: int
    attributes: Attributes = NO_ATTRIBUTES


@dataclass(frozen=True, slots=True)
class Span:
    """Times are nanoseconds since 1970; `parent_id` 0 means that it is the root of its trace.

    `remote` says that the parent is in another process. `error` is the kind of a failure, empty for
    what is none of this span's; no message is kept, as those quote what clients sent.
    """

    trace_id: int
    span_id: int
    parent_id: int
    name: str
    kind: SpanKind
    start: int
    end: int
    attributes: Attributes = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    error: str = ""
    remote: bool = False
    tracestate: str = ""

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9


class WallClock(NamedTuple):
    """Wall time of moments on the monotonic clock.

    All spans of a trace that a process makes are told by one, so that a wall clock that is set
    meanwhile can't make children begin before their parents.
    """

    offset: int  # nanoseconds

    @classmethod
    def now(cls) -> "WallClock":
        """By the closest of a few looks: between two clocks a thread may be set aside."""
        return cls(min(_look() for _ in range(LOOKS))[1])

    def at(self, seconds: float) -> int:
        """Nanoseconds since 1970 of `time.monotonic()` seconds."""
        return self.offset + round(seconds * 1e9)


def _look() -> tuple[int, int]:
    """How long it took to look at both clocks, and their difference: nanoseconds."""
    before = time.monotonic_ns()
    wall = time.time_ns()
    after = time.monotonic_ns()
    return after - before, wall - (before + after) // 2


class Clocks:
    """The wall clock as it is now; looked at twice only where it was set, or has drifted away."""

    def __init__(self) -> None:
        self._wall = WallClock.now()

    def __call__(self) -> WallClock:
        if abs(_look()[1] - self._wall.offset) > SET:
            self._wall = WallClock.now()
        return self._wall


wall_clock = Clocks()
