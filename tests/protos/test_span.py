"""Wall time of moments on the monotonic clock."""

import time

import pytest

from protos.span import Clocks, Span, SpanKind, WallClock


def test_a_moment_of_the_monotonic_clock_is_one_of_the_wall_clock() -> None:
    before = time.time_ns()
    at = WallClock.now().at(time.monotonic())
    after = time.time_ns()
    assert before - 1_000_000 <= at <= after + 1_000_000


def test_moments_keep_their_distances() -> None:
    clock = WallClock(10**18)
    assert clock.at(2.5) - clock.at(2.25) == 250_000_000


def test_a_spans_length_is_told_in_seconds() -> None:
    assert Span(1, 2, 0, "s", SpanKind.INTERNAL, 10**9, 3 * 10**9).seconds == 2.0


def test_a_wall_clock_that_is_set_is_looked_at_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks, real = Clocks(), time.time_ns
    before = clocks().at(5.0)
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3600 * 10**9)
    assert clocks().at(5.0) - before == pytest.approx(3600 * 10**9, abs=10**9)
