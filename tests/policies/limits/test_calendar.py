from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.limits.calendar import Every, period


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("every", "wall", "name", "start", "end"),
    [
        ("day", "2028-02-28T23:59:59", "2028-02-28", "2028-02-28", "2028-02-29"),
        ("day", "2028-02-29T00:00:00", "2028-02-29", "2028-02-29", "2028-03-01"),
        ("month", "2028-02-29T12:00:00", "2028-02", "2028-02-01", "2028-03-01"),
        ("month", "2026-12-31T23:59:59", "2026-12", "2026-12-01", "2027-01-01"),
        ("month", "2026-01-01T00:00:00", "2026-01", "2026-01-01", "2026-02-01"),
    ],
)
def test_days_and_months_are_those_of_utc(
    every: Every, wall: str, name: str, start: str, end: str
) -> None:
    assert period(every, at(wall)) == (name, at(start), at(end))


@settings(deadline=None, max_examples=100)
@given(wall=st.floats(0.0, 4e9), every=st.sampled_from(["day", "month"]))
def test_every_moment_is_in_its_period_and_periods_follow_each_other(
    wall: float, every: Every
) -> None:
    found = period(every, wall)
    assert found.start <= wall < found.end
    following = period(every, found.end)
    assert following.start == found.end
    assert following.name > found.name
