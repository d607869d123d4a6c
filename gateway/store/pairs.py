"""Mirrored requests: each pair as a record, and what they add up to by second."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, fields
from hashlib import blake2b
from math import ceil, floor
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from gateway.store.readable import readable
from gateway.store.rollouts import is_evidence
from gateway.store.schema import pair_counts, pairs
from gateway.store.transactions import forget, snapshot, writing
from routing.evidence.counts import PairCounts
from routing.shadow.record import Outcome, PairRecord, Side

_PAGE = 2000  # rows; each page is a transaction of its own, so that a long read holds up nobody
LONGEST_SPAN = 3600  # seconds that are summed up in one row
_COUNTS = [field.name for field in fields(PairCounts)]
_PLAIN = [
    *("at", "route", "mirror", "arm", "model", "version", "primary_version", "tenant"),
    *("trace_id", "request_id", "kind", "status", "shape", "rollout", "payloads"),
]


class Pairs:
    def __init__(self, database: Engine) -> None:
        self._database = database

    def append(self, records: Sequence[PairRecord]) -> None:
        """Writes a batch. The same batch again changes nothing, so that one whose answer was lost
        can be repeated."""
        if not records:
            return
        rows = [_row(record) for record in records]
        batch = _digest(rows)
        sums = [
            {"batch": batch, "at": second, "last": second, "span": 1.0}
            | {"route": route, "mirror": mirror, "rollout": rollout}
            | asdict(counts)
            for (second, route, mirror, rollout), counts in _sums(records).items()
        ]
        try:
            with writing(self._database) as connection:
                connection.execute(insert(pair_counts), sums)
                connection.execute(insert(pairs), rows)
        except IntegrityError:
            if not self._has(batch):
                raise

    def read(
        self,
        route: str,
        *,
        mirror: str | None = None,
        since: float,
        until: float | None = None,
    ) -> Iterator[PairRecord]:
        """The route's records with since <= at < until, in that order, a page at a time."""
        wanted = _wanted(pairs.c.route == route, pairs.c.mirror, mirror) & (pairs.c.at >= since)
        if until is not None:
            wanted &= pairs.c.at < until
        place = tuple_(pairs.c.at, pairs.c.id)
        query = select(pairs).where(wanted).order_by(pairs.c.at, pairs.c.id).limit(_PAGE)
        page = query
        while True:
            with self._database.connect() as connection:
                rows = connection.execute(page).all()
            yield from readable(rows, _record, "pairs")
            if len(rows) < _PAGE:
                return
            page = query.where(place > tuple_(rows[-1].at, rows[-1].id))

    def counts(
        self, route: str, *, mirror: str | None = None, since: float = 0.0, rollout: str = ""
    ) -> PairCounts:
        """What the records since then add up to; `rollout` "" is any, with or without one."""
        summed = _wanted(pair_counts.c.route == route, pair_counts.c.mirror, mirror)
        single = _wanted(pairs.c.route == route, pairs.c.mirror, mirror) & (pairs.c.at >= since)
        if rollout:
            summed &= pair_counts.c.rollout == rollout
            single &= pairs.c.rollout == rollout
        sums = select(*(func.sum(pair_counts.c[name]) for name in _COUNTS)).where(summed)
        kinds = (pairs.c.status, pairs.c.agrees, pairs.c.noise_agrees)
        first = select(*kinds, func.count()).where(single).group_by(*kinds)
        # Sums and what they are of must be of one moment: others sum up meanwhile.
        with snapshot(self._database).connect() as connection:
            # Up to the next second that sums begin with, the pairs themselves are counted.
            begin = _begin(connection, summed, ceil(since))
            row = connection.execute(sums.where(pair_counts.c.at >= begin)).one()
            total = PairCounts(*(int(each or 0) for each in row))
            if since < begin:
                rows = connection.execute(first.where(pairs.c.at < begin))
                for status, agrees, noise_agrees, times in rows:
                    _count(total, status, agrees, noise_agrees, times)
        return total

    def routes(self) -> list[str]:
        """The routes that have records, in order."""
        with self._database.connect() as connection:
            query = select(pair_counts.c.route).distinct().order_by(pair_counts.c.route)
            return list(connection.scalars(query))

    def forget(self, before: float) -> int:
        """Deletes the records from before that time; how many pairs.

        What the pairs of a rollout under way add up to is kept.
        """
        forget(self._database, pair_counts, floor(before), but=is_evidence(pair_counts))
        return forget(self._database, pairs, before)

    def _has(self, batch: str) -> bool:
        with self._database.connect() as connection:
            query = select(pair_counts.c.id).where(pair_counts.c.batch == batch).limit(1)
            return connection.scalar(query) is not None


def _wanted(
    condition: ColumnElement[bool], column: ColumnElement[str], mirror: str | None
) -> ColumnElement[bool]:
    return condition if mirror is None else condition & (column == mirror)


def _digest(rows: Sequence[dict[str, Any]]) -> str:
    return blake2b(json.dumps(rows).encode(), digest_size=16).hexdigest()


def _sums(
    records: Sequence[PairRecord],
) -> Mapping[tuple[float, str, str, str], PairCounts]:
    sums: dict[tuple[float, str, str, str], PairCounts] = {}
    for each in records:
        key = float(floor(each.at)), each.route, each.mirror, each.rollout
        noise = None if each.noise is None else each.noise.agrees
        _count(sums.setdefault(key, PairCounts()), each.status, each.outcome.agrees, noise)
    return sums


def _begin(connection: Connection, wanted: ColumnElement[bool], second: int) -> int:
    """The first second from `second` on that no sum has together with an earlier one."""
    table = pair_counts.c
    while True:
        across = wanted & (table.at < second) & (table.last >= second)
        across &= table.at >= second - LONGEST_SPAN
        last = connection.scalar(select(func.max(table.last)).where(across))
        if last is None:
            return second
        second = int(last) + 1


def _count(
    counts: PairCounts,
    status: str,
    agrees: bool | None,
    noise_agrees: bool | None,
    times: int = 1,
) -> None:
    if status == "primary_failed":
        return
    one = PairCounts(sampled=1)
    if status == "compared" and agrees is not None:
        one.add(not agrees, None if noise_agrees is None else not noise_agrees)
    counts.merge(PairCounts(*(times * each for each in astuple(one))))


def _row(record: PairRecord) -> dict[str, Any]:
    noise = record.noise
    # Infinity and NaN are measures too, and a record must not be lost for them; and it is ASCII.
    detail = {
        "primary": _values(record.primary),
        "candidate": _values(record.candidate),
        "outcome": _values(record.outcome),
        "noise": None if noise is None else _values(noise),
    }
    return {name: getattr(record, name) for name in _PLAIN} | {
        "agrees": record.outcome.agrees,
        "noise_agrees": None if noise is None else noise.agrees,
        "detail": json.dumps(detail, separators=(",", ":")),
    }


def _values(value: Side | Outcome) -> list[Any]:
    found = [getattr(value, field.name) for field in fields(value)]
    return [dict(each) if isinstance(each, Mapping) else each for each in found]


def _record(row: Row[Any]) -> PairRecord:
    detail = json.loads(row.detail)
    noise = detail["noise"]
    return PairRecord(
        **{name: getattr(row, name) for name in _PLAIN},
        primary=Side(*detail["primary"]),
        candidate=Side(*detail["candidate"]),
        outcome=Outcome(*detail["outcome"]),
        noise=None if noise is None else Outcome(*noise),
    )
