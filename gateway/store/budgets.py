"""What has been used of budgets, so that they outlive the processes that count."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Engine, case, delete, func, select

from gateway.store.schema import budgets
from gateway.store.transactions import replace, writing

Uses = dict[tuple[str, str, str], float]

_KEYS = ("limit", "period", "key", "process")


class Spent(NamedTuple):
    """What one process has used of a budget in all.

    `limit` is `str(LimitId)`, `period` the day or month, `until` its end in Unix seconds.
    """

    limit: str
    period: str
    key: str
    used: float
    until: float


class BudgetRecords:
    def __init__(self, database: Engine) -> None:
        self._database = database

    def write(self, process: str, spent: Sequence[Spent]) -> None:
        """What `process` has used until now, instead of what it told before."""
        rows = [{**each._asdict(), "process": process} for each in spent]
        replace(self._database, budgets, _KEYS, rows)

    def read(self, now: float, process: str) -> tuple[Uses, Uses]:
        """What has been used of the periods that `now` is in, by limit, period and key: by all
        other processes, and by this one, under whatever numbers."""
        key = (budgets.c.limit, budgets.c.period, budgets.c.key)
        own = budgets.c.process.startswith(f"{process}/", autoescape=True)
        query = (
            select(
                *key,
                func.sum(case((own, 0.0), else_=budgets.c.used)),
                func.sum(case((own, budgets.c.used), else_=0.0)),
            )
            .where(budgets.c.until > now)
            .group_by(*key)
        )
        others: Uses = {}
        itself: Uses = {}
        with self._database.connect() as connection:
            for *place, by_others, by_itself in connection.execute(query):
                limit, period, name = place
                if by_others:
                    others[limit, period, name] = by_others
                if by_itself:
                    itself[limit, period, name] = by_itself
        return others, itself

    def forget(self, now: float) -> int:
        """Deletes what was used in periods that are over; how many rows."""
        with writing(self._database) as connection:
            return connection.execute(delete(budgets).where(budgets.c.until <= now)).rowcount
