"""What has been used of budgets, so that they outlive the processes that count."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Engine, delete, func, select

from gateway.store.schema import budgets
from gateway.store.transactions import replace, writing

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

    def read(self, now: float, *, but: str = "") -> dict[tuple[str, str, str], float]:
        """What all processes but `but`, whatever its numbers, have used of the periods that `now`
        is in, by limit, period and key."""
        query = (
            select(budgets.c.limit, budgets.c.period, budgets.c.key, func.sum(budgets.c.used))
            .where(budgets.c.until > now, ~budgets.c.process.startswith(f"{but}/", autoescape=True))
            .group_by(budgets.c.limit, budgets.c.period, budgets.c.key)
        )
        with self._database.connect() as connection:
            return {
                (limit, period, key): used for limit, period, key, used in connection.execute(query)
            }

    def forget(self, now: float) -> int:
        """Deletes what was used in periods that are over; how many rows."""
        with writing(self._database) as connection:
            return connection.execute(delete(budgets).where(budgets.c.until <= now)).rowcount
