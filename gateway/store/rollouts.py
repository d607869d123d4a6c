"""The state of each route's rollout, written only over the version that it was made from."""

from collections.abc import Sequence
from dataclasses import asdict, fields

from sqlalchemy import ColumnElement, Connection, Engine, Table, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.store.audit import write_events
from gateway.store.leader import Fence, is_present
from gateway.store.schema import rollouts
from gateway.store.transactions import writing
from routing.rollout.event import Event
from routing.rollout.state import TERMINAL, RolloutState

_COLUMNS = [rollouts.c[field.name] for field in fields(RolloutState)]


class Rollouts:
    def __init__(self, database: Engine) -> None:
        self._database = database

    def all(self) -> list[RolloutState]:
        """Ordered by route."""
        with self._database.connect() as connection:
            found = connection.execute(select(*_COLUMNS).order_by(rollouts.c.route))
            return [RolloutState(*row) for row in found]

    def get(self, route: str) -> RolloutState | None:
        with self._database.connect() as connection:
            row = connection.execute(
                select(*_COLUMNS).where(rollouts.c.route == route)
            ).one_or_none()
            return None if row is None else RolloutState(*row)

    def write(
        self,
        state: RolloutState,
        *,
        expected_version: int | None,
        fence: Fence | None,
        events: Sequence[Event],
    ) -> bool:
        """Writes the state and the audit records of what was done, both or neither.

        False, and nothing is written, when the stored version is not `expected_version` (None:
        there is no state yet), or when `fence` is no longer the leader's. True when both are on the
        disk.
        """
        with writing(self._database, durable=True) as connection:
            if fence is not None and not is_present(connection, fence):
                return False
            if not _replace(connection, state, expected_version):
                return False
            write_events(connection, events)
            return True


def is_evidence(table: Table) -> ColumnElement[bool]:
    """Whether a row of counts, with `at`, `route` and `rollout`, is what a rollout under way is
    judged by. That is kept however long the rollout takes, or it would wait for what was
    forgotten, or pass for want of the harm that was."""
    counts, state = table.c, rollouts.c
    return exists().where(
        state.route == counts.route,
        state.id == counts.rollout,
        state.status.not_in(TERMINAL),
        (counts.at >= state.since) | (counts.at >= state.weight_since),
    )


def _replace(connection: Connection, state: RolloutState, expected: int | None) -> bool:
    values = asdict(state)
    if expected is not None:
        there = (rollouts.c.route == state.route) & (rollouts.c.version == expected)
        return connection.execute(update(rollouts).where(there).values(values)).rowcount == 1
    try:
        with connection.begin_nested():
            connection.execute(insert(rollouts), values)
    except IntegrityError:
        return False
    return True
