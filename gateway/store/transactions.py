"""Transactions that write, and those that read more than once.

Administrative records must survive the machine's loss of power, telemetry only that of a process:
that is the difference between `durable` and not, and costs SQLite a sync of the disk.
"""

from contextlib import AbstractContextManager

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, select

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
