"""What replicas counted for each arm, a row for each time that they told."""

import json
from collections.abc import Mapping

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from gateway.store.rollouts import is_evidence
from gateway.store.schema import arms
from gateway.store.transactions import forget, writing
from routing.evidence.counts import ArmCounts
from routing.evidence.histogram import Histogram


class Arms:
    def __init__(self, database: Engine) -> None:
        self._database = database

    def add(
        self, replica: str, at: float, route: str, rollout: str, counts: Mapping[str, ArmCounts]
    ) -> None:
        """Writes what `replica` counted by arm from its last time until `at`.

        A replica tells once for each route, rollout and `at`. The same again changes nothing, so
        that a call whose answer was lost can be repeated.
        """
        rows = [
            {"replica": replica, "at": at, "span": 0.0, "route": route, "rollout": rollout}
            | {"arm": arm, "requests": each.requests, "errors": each.errors}
            | {"latency": written(each.latency)}
            for arm, each in counts.items()
        ]
        if not rows:
            return
        try:
            with writing(self._database) as connection:
                connection.execute(insert(arms), rows)
        except IntegrityError:
            if not self._has(replica, at, route, rollout):
                raise

    def sum(self, route: str, since: float, *, rollout: str = "") -> dict[str, ArmCounts]:
        """All that was told since then, by arm; `rollout` "" is any, with or without one.

        Exact for the last minutes and for the times since when rollouts in the store count; for
        other times of long ago to the minute or the hour.
        """
        query = select(arms.c.arm, arms.c.requests, arms.c.errors, arms.c.latency).where(
            arms.c.route == route, arms.c.at >= since
        )
        if rollout:
            query = query.where(arms.c.rollout == rollout)
        sums: dict[str, ArmCounts] = {}
        with self._database.connect() as connection:
            for arm, requests, errors, latency in connection.execute(query):
                counts = ArmCounts(requests, errors, as_read(latency))
                sums.setdefault(arm, ArmCounts()).merge(counts)
        return sums

    def forget(self, before: float) -> int:
        """Deletes what was told before that time, but for a rollout under way; how many rows."""
        return forget(self._database, arms, before, but=is_evidence(arms))

    def _has(self, replica: str, at: float, route: str, rollout: str) -> bool:
        query = select(arms.c.id).where(
            arms.c.replica == replica,
            arms.c.at == at,
            arms.c.route == route,
            arms.c.rollout == rollout,
        )
        with self._database.connect() as connection:
            return connection.scalar(query.limit(1)) is not None


def written(latency: Histogram) -> str:
    """The histogram as the table has it."""
    return json.dumps(latency.counts, separators=(",", ":"))


def as_read(text: str) -> Histogram:
    """The other way round."""
    return Histogram({int(index): count for index, count in json.loads(text).items()})
