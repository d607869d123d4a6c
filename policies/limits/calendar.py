"""Days and months as budgets count them, in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

Every = Literal["day", "month"]


class Period(NamedTuple):
    """From `start` until before `end` in Unix seconds; `name` is as ISO 8601 writes it."""

    name: str
    start: float
    end: float


def period(every: Every, wall: float) -> Period:
    """The day or month that the Unix time is in."""
    day = datetime.fromtimestamp(wall, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if every == "day":
        return Period(f"{day:%Y-%m-%d}", day.timestamp(), (day + timedelta(days=1)).timestamp())
    month = day.replace(day=1)
    following = (month + timedelta(days=32)).replace(day=1)
    return Period(f"{month:%Y-%m}", month.timestamp(), following.timestamp())
