"""Who leads: a row with a holder, an epoch and a time until which nobody else may take it.

The epoch is a fencing token (Kleppmann, "How to do distributed locking", 2016): it grows with each
change of holder, and a write that carries an older one is refused in the transaction that writes.
So a leader that slept through its own deposition, or whose clock is wrong, can do no harm; clocks
only decide how soon another takes over.
"""

import threading
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.store.schema import leaders
from gateway.store.transactions import writing


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to write as the leader `name`, while `epoch` is the present one."""

    name: str
    holder: str
    epoch: int


class Leader:
    def __init__(self, database: Engine) -> None:
        self._database = database
        # The lease that each name was last seen with, and since when that is so.
        self._seen: dict[str, tuple[str, int, float, float]] = {}
        self._lock = threading.Lock()

    def hold(self, name: str, holder: str, now: float, ttl: float) -> Fence | None:
        """Takes or renews the lead for `ttl` seconds from `now`; None while another has it.

        A lease is over when its time has come, or when it was not renewed for `ttl` seconds as
        counted here: after a clock was put back, its time would come too late.
        """
        with writing(self._database, durable=True) as connection:
            row = connection.execute(
                select(leaders).where(leaders.c.name == name).with_for_update()
            ).one_or_none()
            if row is None:
                epoch = 1 if _first(connection, name, holder, now + ttl) else None
            elif row.holder == holder or row.until <= now or self._stale(row, now, ttl):
                epoch = row.epoch + (row.holder != holder)
                connection.execute(
                    update(leaders)
                    .where(leaders.c.name == name)
                    .values(holder=holder, epoch=epoch, until=now + ttl)
                )
            else:
                epoch = None
        return None if epoch is None else Fence(name, holder, epoch)

    def _stale(self, row: Row[tuple[str, str, int, float]], now: float, ttl: float) -> bool:
        with self._lock:
            holder, epoch, until, since = self._seen.get(row.name, ("", 0, 0.0, now))
            if (holder, epoch, until) != (row.holder, row.epoch, row.until) or now < since:
                since = now
            self._seen[row.name] = row.holder, row.epoch, row.until, since
            return now - since >= ttl


def _first(connection: Connection, name: str, holder: str, until: float) -> bool:
    values = {"name": name, "holder": holder, "epoch": 1, "until": until}
    try:
        with connection.begin_nested():
            connection.execute(insert(leaders), values)
    except IntegrityError:  # another was faster
        return False
    return True


def is_present(connection: Connection, fence: Fence) -> bool:
    """Whether the fence is still the leader's; it stays so until the transaction ends."""
    row = connection.execute(
        select(leaders.c.holder, leaders.c.epoch)
        .where(leaders.c.name == fence.name)
        .with_for_update()
    ).one_or_none()
    return row is not None and (row.holder, row.epoch) == (fence.holder, fence.epoch)
