"""Opens the store of durable records: SQLite beside one gateway, or a PostgreSQL of many.

Everything here is synchronous and may be called from any thread but the event loop's; every call
takes a connection of its own from the pool.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError

from gateway.store import schema
from gateway.store.arms import Arms
from gateway.store.audit import Audit
from gateway.store.budgets import BudgetRecords
from gateway.store.compact import compact
from gateway.store.decisions import Decisions
from gateway.store.failure import StoreError
from gateway.store.file import StoreFile, found_file, is_damage
from gateway.store.keys import Keys
from gateway.store.leader import Leader
from gateway.store.pairs import Pairs
from gateway.store.rollouts import Rollouts
from gateway.store.usage import UsageRecords

_LOOK = 0.02  # seconds
BUSY_SECONDS = 10  # that a call may wait for a connection or for another's transaction
_LOCK = 0x70656E73  # the advisory lock under which PostgreSQL's tables are made
# A server that hangs, or that went away without a word, must not keep a thread for hours; and a
# replica that was stopped in mid-transaction must not keep the others from its rows.
_POSTGRES = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "options": "-c statement_timeout=60s -c lock_timeout=10s"
    " -c idle_in_transaction_session_timeout=30s",
}


class Store:
    """The kinds of records, each with its own operations.

    They raise SQLAlchemyError when the database fails. `file` is what of SQLite's was opened.
    """

    def __init__(self, database: Engine, file: StoreFile | None = None) -> None:
        self._database = database
        self._file = file
        self.pairs = Pairs(database)
        self.arms = Arms(database)
        self.rollouts = Rollouts(database)
        self.leader = Leader(database)
        self.audit = Audit(database)
        self.decisions = Decisions(database)
        self.keys = Keys(database)
        self.usage = UsageRecords(database)
        self.budgets = BudgetRecords(database)

    def tidy(self, now: float, keep: float) -> int:
        """Forgets comparisons, counts and decisions that are older than `keep` seconds, and sums
        up counts that are older than minutes; how many rows that saved. For every minute or so,
        from any replica.

        States of rollouts, audit records and API keys are kept for good, what a rollout is judged
        by until it is over, usage for `usage.KEEP`, and what was used of a budget until its end.
        """
        kinds = (self.pairs, self.arms, self.decisions)
        forgotten = sum(kind.forget(now - keep) for kind in kinds)
        forgotten += self.keys.forget(now) + self.usage.forget(now) + self.budgets.forget(now)
        return forgotten + compact(self._database, now)

    def stands(self) -> bool:
        """Whether what is read and written here is what others find under the store's name.

        A file of SQLite that was replaced goes on taking everything, and nobody else sees it.
        Raises StoreError for one that was removed.
        """
        return self._file is None or self._file.stands()

    def close(self) -> None:
        self._database.dispose()

    def __repr__(self) -> str:
        return f"<Store {self._database.url.render_as_string(hide_password=True)}>"


def open_store(url: str, *, make: bool = True) -> Store:
    """Opens `sqlite:///path` or `postgresql+psycopg://user:password@host/database`.

    Makes the file and the tables where there are none; without `make`, for those who only read,
    that is refused. Raises StoreError for that, for another kind of URL, for a file that can't be
    made and for tables of another version of Penstock, SQLAlchemyError when the database doesn't
    answer.
    """
    parsed = _parsed(url)
    file = None
    if parsed.get_backend_name() == "sqlite":
        file = found_file(Path(parsed.database or ""), make)
    database = _engine(parsed)
    try:
        _prepare(database, make)
    except BaseException as error:
        database.dispose()
        if file is not None and isinstance(error, DBAPIError) and is_damage(error):
            raise file.damaged(error) from None
        raise
    if file is not None:
        file.note_mode()
    return Store(database, file)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("the store's URL can't be read; it is such as sqlite:///path") from None
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if parsed.database in (None, "", ":memory:"):
            raise StoreError("the store's URL names no file: sqlite:///path")
        return parsed
    if parsed.drivername != "postgresql+psycopg":
        raise StoreError(
            "the store's URL begins with sqlite:/// or postgresql+psycopg://, "
            f"not {parsed.drivername}://"
        )
    return parsed


def _engine(url: URL) -> Engine:
    # Errors are logged, and a statement's parameters are what tenants sent: they are hidden.
    if url.get_backend_name() == "postgresql":
        arguments = {name: value for name, value in _POSTGRES.items() if name not in url.query}
        return create_engine(
            url,
            connect_args=arguments,
            pool_pre_ping=True,
            pool_timeout=BUSY_SECONDS,
            hide_parameters=True,
        )
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS},
        pool_timeout=BUSY_SECONDS,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver's own way of beginning transactions is to begin them late; we say when.
    connection.isolation_level = None
    # SQLite's own waiting for others doesn't cover this one, where two make the file's first use.
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("writes"):
        connection.exec_driver_sql("BEGIN")
        return
    # In WAL mode NORMAL loses the last commits with the machine's power, but never with a process.
    connection.exec_driver_sql(
        f"PRAGMA synchronous = {'FULL' if options.get('durable') else 'NORMAL'}"
    )
    # A transaction that reads first and writes then would fail when another wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare(database: Engine, make: bool) -> None:
    if make:
        with _making_tables(database) as connection:
            schema.metadata.create_all(connection)
            if not _versions(connection):
                connection.execute(insert(schema.schema), {"version": schema.VERSION})
            _check_version(connection)
        return
    with database.connect() as connection:
        if not inspect(connection).has_table(schema.schema.name):
            raise StoreError(
                f"there are no records: no gateway has used {database.url.database} yet"
            )
        _check_version(connection)


def _check_version(connection: Connection) -> None:
    found = _versions(connection)
    if found != [schema.VERSION]:
        raise StoreError(
            f"the records were written by another version of Penstock (schema "
            f"{', '.join(map(str, found))}, this one reads {schema.VERSION}): "
            "name another database in store.url, or run that version"
        )


def _versions(connection: Connection) -> list[int]:
    return list(connection.scalars(select(schema.schema.c.version)))


@contextmanager
def _making_tables(database: Engine) -> Iterator[Connection]:
    with database.execution_options(writes=True).begin() as connection:
        if database.dialect.name == "postgresql":
            # Two gateways may start at once, and `create_all` looks before it makes.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        yield connection
