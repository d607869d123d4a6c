"""When the days and months (UTC) of budgets end, for ledgers."""

from datetime import UTC, datetime, timedelta

from policies.leases.terms import Kind

# The end of the period that a budget counts may be so much later than the present one's, where a
# clock was set back over that. The longest month, which is less than two of the shortest.
PERIOD_SECONDS: dict[str, float] = {"day": 86_400.0, "month": 31 * 86_400.0}


def period_end(kind: Kind, wall: float) -> float:
    """When the day or month (UTC) that `wall` lies in is over; Unix seconds."""
    return float(month_starts(wall)[1]) if kind == "month" else (wall // 86400.0 + 1.0) * 86400.0


def month_starts(wall: float) -> tuple[int, int, int]:
    """When the month that `wall` lies in began, when the next one does, and the one after that."""
    first = datetime.fromtimestamp(wall, UTC).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    second = (first + timedelta(days=32)).replace(day=1)
    third = (second + timedelta(days=32)).replace(day=1)
    return int(first.timestamp()), int(second.timestamp()), int(third.timestamp())
