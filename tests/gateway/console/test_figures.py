"""Numbers read the same everywhere: some is never none, and nothing is longer than it must be."""

from math import inf, nan

import pytest

from gateway.console.figures import bar, clock, duration, rate, share, size, sparkline


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0000004, "0 µs"),
        (0.00085, "850 µs"),
        (0.0123, "12.3 ms"),
        (0.391, "391 ms"),
        (1.25, "1.25 s"),
        (42.3, "42 s"),
        (200, "3 m 20 s"),
        (7500, "2 h 5 m"),
        (400_000, "4 d 15 h"),
        (nan, "–"),
        (inf, "∞"),
    ],
)
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 %"), (0.00001, "<0.1 %"), (0.0123, "1.2 %"), (0.5, "50 %"), (1, "100 %")],
)
def test_shares(value: float, text: str):
    assert share(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.05, "0.05"), (12.34, "12.3"), (12345.6, "12,346")]
)
def test_rates(value: float, text: str):
    assert rate(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(512, "512 B"), (1536, "1.5 KiB"), (5 * 2**40, "5.0 TiB")]
)
def test_sizes(value: float, text: str):
    assert size(value) == text


def test_a_moment_says_its_date_and_zone():
    assert ">1 Jan 00:00:01 UTC</time>" in clock(1.0)
    assert 'datetime="1970-01-01T00:00:01.000000Z"' in clock(1.0)


def test_a_sparkline_says_what_it_shows_and_leaves_gaps_where_nothing_is_known():
    drawn = sparkline([1.0, 2.0, nan, 2.0, 1.0], "Requests a second")
    assert "<title>Requests a second</title>" in drawn
    assert drawn.count("M") == 3  # the ground and two pieces


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [nan, nan], [3.0]])
def test_a_sparkline_of_nothing_is_drawn_too(values: list[float]):
    assert "nan" not in sparkline(values, "nothing")


def test_a_bar_stays_within_its_track():
    assert 'width="100.0%"' in bar(7.0, "too much")
    assert 'width="0.0%"' in bar(-1.0, "too little")
