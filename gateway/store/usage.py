"""What each tenant has used of each model, a row for each day and process."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Engine, delete, func, select

from gateway.store.schema import usage
from gateway.store.transactions import replace, writing
from gateway.usage.value import UNITS, Usage

KEEP = 400 * 86_400.0  # seconds; a year and the month in which it is asked about
_KEYS = ("day", "tenant", "model", "process")


class UsageRecords:
    def __init__(self, database: Engine) -> None:
        self._database = database

    def write(self, process: str, counted: Sequence[Usage]) -> None:
        """What `process` has counted in all of these days until now, instead of what it told
        before: to repeat a call does no harm."""
        rows = [{**asdict(each), "process": process} for each in counted]
        replace(self._database, usage, _KEYS, rows)

    def sum(self, *, since: str, until: str, by: Sequence[str]) -> list[Usage]:
        """Of the days from `since` until before `until`; `by` names of day, tenant and model those
        that are told apart, in whose order the result is."""
        names = [usage.c[name] for name in by]
        query = (
            select(*names, *(func.sum(usage.c[name]).label(name) for name in UNITS))
            .where(usage.c.day >= since, usage.c.day < until)
            .group_by(*names)
            .order_by(*names)
        )
        with self._database.connect() as connection:
            found = [row._asdict() for row in connection.execute(query)]
        return [_usage(row) for row in found if row["requests"] is not None]

    def forget(self, now: float) -> int:
        """Deletes what is older than `KEEP`; how many rows."""
        oldest = f"{datetime.fromtimestamp(now - KEEP, UTC):%Y-%m-%d}"
        with writing(self._database) as connection:
            return connection.execute(delete(usage).where(usage.c.day < oldest)).rowcount


def _usage(row: dict[str, object]) -> Usage:
    def text(name: str) -> str:
        return str(row.get(name, ""))

    def whole(name: str) -> int:
        return int(str(row[name]))  # PostgreSQL sums whole numbers up to decimal ones

    return Usage(
        text("day"),
        text("tenant"),
        text("model"),
        whole("requests"),
        whole("rows"),
        whole("prompt_tokens"),
        whole("completion_tokens"),
        float(str(row["device_seconds"])),
    )
