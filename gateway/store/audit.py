"""What was done to rollouts, by whom and why. Nothing is ever deleted here."""

from collections.abc import Iterable
from dataclasses import asdict, fields

from sqlalchemy import Connection, Engine, insert, select

from gateway.store.schema import audit
from gateway.store.transactions import writing
from routing.rollout.event import Event

_COLUMNS = [audit.c[field.name] for field in fields(Event)]


class Audit:
    def __init__(self, database: Engine) -> None:
        self._database = database

    def append(self, event: Event) -> None:
        """Returns when the record is on the disk."""
        with writing(self._database, durable=True) as connection:
            write_events(connection, [event])

    def read(
        self, *, route: str | None = None, since: float = 0.0, limit: int = 100
    ) -> list[Event]:
        """The last `limit` events since that time, the newest last."""
        query = select(*_COLUMNS).where(audit.c.at >= since)
        if route is not None:
            query = query.where(audit.c.route == route)
        query = query.order_by(audit.c.id.desc()).limit(limit)
        with self._database.connect() as connection:
            return [Event(*row) for row in reversed(connection.execute(query).all())]


def write_events(connection: Connection, events: Iterable[Event]) -> None:
    """Within a transaction of the caller, so that what is done and its record are one."""
    if rows := [asdict(event) for event in events]:
        connection.execute(insert(audit), rows)
