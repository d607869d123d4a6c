"""What is asked about usage, by the command line and the admin face, and the answer as text."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gateway.usage.value import UNITS, Usage
from protos.errors import invalid
from protos.wording import quote

PARTS = ("day", "tenant", "model")
_DAYS = re.compile(r"([0-9]{1,4})d")


@dataclass(frozen=True, slots=True)
class Question:
    """The days from `since` until before `until`, and by what the sums are told apart."""

    since: str
    until: str
    by: tuple[str, ...]


def question(since: str, until: str, by: str, now: float) -> Question:
    """`since` and `until` are days (2026-11-01, UTC) or so many before today (30d).

    Without them it is about this month until now. `by` lists day, tenant and model. Raises INVALID
    with the name of what can't be read.
    """
    today = datetime.fromtimestamp(now, UTC).date()
    begin = _day("since", since, today) if since else today.replace(day=1)
    end = _day("until", until, today) if until else today + timedelta(days=1)
    if end <= begin:
        raise invalid(f"until: {end} isn't after {begin}")
    parts = tuple(part.strip() for part in by.split(","))
    for part in parts:
        if part not in PARTS:
            raise invalid(f"by: is of {', '.join(PARTS)}, not {quote(part)}")
    if len(set(parts)) < len(parts):
        raise invalid("by: names one of them twice")
    return Question(begin.isoformat(), end.isoformat(), parts)


def _day(name: str, text: str, today: date) -> date:
    ago = _DAYS.fullmatch(text)
    try:
        return today - timedelta(days=int(ago[1])) if ago else date.fromisoformat(text)
    except (ValueError, OverflowError):
        raise invalid(f"{name}: is a day such as {today} or so many before today, 30d") from None


def as_objects(found: Sequence[Usage], by: Sequence[str]) -> list[dict[str, Any]]:
    """One object for each sum; device-seconds to the microsecond."""
    return [
        {name: getattr(each, name) for name in by}
        | {unit: getattr(each, unit) for unit in UNITS}
        | {"device_seconds": round(each.device_seconds, 6)}
        for each in found
    ]


def as_csv(found: Sequence[Usage], by: Sequence[str]) -> str:
    """RFC 4180, with a line of names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*by, *UNITS])
    writer.writeheader()
    writer.writerows(as_objects(found, by))
    return text.getvalue()
