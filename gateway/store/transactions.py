"""Transactions that write, and those that read more than once.

Administrative records must survive the machine's loss of power, telemetry only that of a process:
that is the difference between `durable` and not, and costs SQLite a sync of the disk.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

CHUNK = 5000  # rows; others write between two chunks


def writing(database: Engine, *, durable: bool = False) -> AbstractContextManager[Connection]:
    """A transaction that is committed at the end, and rolled back by an exception."""
    return database.execution_options(writes=True, durable=durable).begin()


def snapshot(database: Engine) -> Engine:
    """Connections whose transactions read one state of the database, whatever others write.

    SQLite's do so by themselves, PostgreSQL's when they are told.
    """
    if database.dialect.name != "postgresql":
        return database
    return database.execution_options(isolation_level="REPEATABLE READ")


def forget(
    database: Engine, table: Table, before: float, *, but: ColumnElement[bool] | None = None
) -> int:
    """Deletes the rows whose `at` is before that time, a chunk a transaction; how many."""
    oldest = select(table.c.id).where(table.c.at < before).limit(CHUNK)
    if but is not None:
        oldest = oldest.where(~but)
    total = 0
    while True:
        with writing(database) as connection:
            count = connection.execute(delete(table).where(table.c.id.in_(oldest))).rowcount
        total += count
        if count < CHUNK:
            return total


def replace(
    database: Engine, table: Table, keys: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Writes the rows, over those with the same `keys`; of such among `rows` the last one."""
    newest = {tuple(row[key] for key in keys): dict(row) for row in rows}
    if not newest:
        return
    insert = postgresql.insert if database.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(list(newest.values()))
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    with writing(database) as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others))
