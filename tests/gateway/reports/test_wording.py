"""How figures read: nothing is rounded over a bound, units are people's."""

import pytest

from gateway.reports.wording import amount, distance, duration, moment, octets, precise, window
from routing.evidence.interval import Interval
from routing.shadow.wording import percent, point_range, points, ratio_range, share_range


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.00001, "<0.01 %"),
        (0.0034, "0.34 %"),
        (0.5, "50 %"),
        (0.949999, "94.99 %"),
        (0.99999, "99.99 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_is_never_rounded_up(share: float, text: str):
    assert percent(share) == text


def test_points_have_a_minus_sign_and_no_negative_zero():
    assert (points(-0.0123), points(-0.000001)) == ("−1.23 pp", "0.00 pp")


def test_intervals_say_their_unit_once():
    interval = Interval(0.02, -0.01, 0.05)
    assert point_range(interval) == "−1.00 to 5.00 pp"
    assert share_range(interval) == "−1.00 to 5.00 %"


def test_an_upper_end_that_is_not_known_is_not_made_up():
    assert ratio_range(Interval(1.0, 0.9, float("inf"))) == "0.90× or more"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00034, "340 µs"), (0.0123, "12.3 ms"), (-0.0123, "−12.3 ms"), (1.234, "1.23 s")],
)
def test_a_time_has_three_digits(seconds: float, text: str):
    assert duration(seconds) == text


def test_times_are_in_utc():
    assert moment(1_790_000_000) == "21 Sep 2026, 14:13 UTC"
    assert precise(1_790_000_000.5) == "2026-09-21T14:13:20.500Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(30, "30 s"), (1800, "30 min"), (3600, "1 h"), (86_400, "24 h"), (604_800, "7 d")],
)
def test_a_window_is_in_the_unit_one_asks_for(seconds: float, text: str):
    assert window(seconds) == text


def test_sizes_and_measures():
    assert (octets(96), octets(2048), octets(3 << 20)) == ("96 bytes", "2 KiB", "3 MiB")
    assert (amount(-0.00012345), distance(1e9), distance(2.5)) == ("−0.000123", "∞", "2.5")
