"""Sums up what is old, so that counting over weeks reads hours and minutes rather than seconds.

What belongs to a rollout's time and what came before stay apart, so that its evidence is exact.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from math import ceil, floor
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, bindparam, delete, insert, select

from gateway.store.arms import as_read, written
from gateway.store.pairs import LONGEST_SPAN
from gateway.store.schema import arms, pair_counts, rollouts, schema
from gateway.store.transactions import CHUNK, writing
from routing.evidence.counts import ArmCounts, PairCounts

# Rows older than so many seconds become one for each so many.
LEVELS = ((120.0, 60.0), (7200.0, float(LONGEST_SPAN)))

_COUNTS = [field.name for field in fields(PairCounts)]
_ARM = ("route", "rollout", "arm")
_PAIR = ("route", "mirror", "rollout")

Merge = Callable[[Sequence[Row[Any]]], dict[str, Any]]


def compact(database: Engine, now: float) -> int:
    """Sums up the arms' and the pairs' counts; how many rows that saved."""
    saved = 0
    for age, span in LEVELS:
        before = floor((now - age) / span) * span
        for table, names, merge in ((arms, _ARM, _arms), (pair_counts, _PAIR, _pairs)):
            while True:
                read, made = _level(database, table, names, merge, before, span)
                saved += read - made
                if read < CHUNK:
                    break
    return saved


def _level(
    database: Engine, table: Table, names: Sequence[str], merge: Merge, before: float, span: float
) -> tuple[int, int]:
    query = select(table).where(table.c.at < before, table.c.span < span)
    with writing(database) as connection:
        # One at a time: two replicas that sum up the same rows would double them.
        connection.execute(select(schema).with_for_update()).all()
        starts = _starts(connection)
        rows = connection.execute(query.order_by(table.c.at).limit(CHUNK)).all()
        groups: dict[Any, list[Row[Any]]] = {}
        for row in rows:
            later = tuple(row.at >= start for start in starts.get(row.route, ()))
            key = (*(getattr(row, name) for name in names), floor(row.at / span), later)
            groups.setdefault(key, []).append(row)
        if not rows:
            return 0, 0
        connection.execute(
            delete(table).where(table.c.id == bindparam("old")), [{"old": row.id} for row in rows]
        )
        connection.execute(
            insert(table),
            [
                {name: getattr(group[0], name) for name in names}
                | {"at": group[0].at, "span": span}
                | merge(group)
                for group in groups.values()
            ],
        )
    return len(rows), len(groups)


def _starts(connection: Connection) -> dict[str, Iterable[float]]:
    """By route, the times from which its rollout's evidence counts."""
    found = connection.execute(select(rollouts.c.route, rollouts.c.since, rollouts.c.weight_since))
    # Pairs are counted by whole seconds.
    return {route: (ceil(since), since, weight_since) for route, since, weight_since in found}


def _arms(rows: Sequence[Row[Any]]) -> dict[str, Any]:
    total = ArmCounts()
    for row in rows:
        total.merge(ArmCounts(row.requests, row.errors, as_read(row.latency)))
    return {
        "requests": total.requests,
        "errors": total.errors,
        "latency": written(total.latency),
        "replica": None,
    }


def _pairs(rows: Sequence[Row[Any]]) -> dict[str, Any]:
    sums = {name: sum(getattr(row, name) for row in rows) for name in _COUNTS}
    return sums | {"last": max(row.last for row in rows), "batch": None}
