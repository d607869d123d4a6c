"""Sampled records of where requests went (`routing/decisions.py`)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Engine, Row, insert, select, tuple_

from gateway.store.readable import readable
from gateway.store.schema import decisions
from gateway.store.transactions import forget, writing
from routing.decisions import ANY, Decision

_PAGE = 5000
_FIELDS = [field.name for field in fields(Decision)]


class Decisions:
    def __init__(self, database: Engine) -> None:
        self._database = database

    def append(self, records: Sequence[Decision]) -> None:
        """Writes a batch; one whose answer was lost and that is repeated is there twice."""
        if records:
            with writing(self._database) as connection:
                connection.execute(insert(decisions), [_row(record) for record in records])

    def read(self, *, since: float, until: float | None = None) -> Iterator[Decision]:
        """The records with since <= at < until, in that order, a page at a time."""
        query = select(decisions).where(decisions.c.at >= since)
        if until is not None:
            query = query.where(decisions.c.at < until)
        query = query.order_by(decisions.c.at, decisions.c.id).limit(_PAGE)
        place = tuple_(decisions.c.at, decisions.c.id)
        page = query
        while True:
            with self._database.connect() as connection:
                rows = connection.execute(page).all()
            yield from readable(rows, _record, "decisions")
            if len(rows) < _PAGE:
                return
            page = query.where(place > tuple_(rows[-1].at, rows[-1].id))

    def forget(self, before: float) -> int:
        """Deletes the records from before that time; how many."""
        return forget(self._database, decisions, before)


def _row(record: Decision) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in _FIELDS}
    values["attributes"] = json.dumps(record.attributes, separators=(",", ":"))
    return values


def _record(row: Row[Any]) -> Decision:
    values = {name: getattr(row, name) for name in _FIELDS}
    values["attributes"] = attributes = json.loads(row.attributes)
    if not isinstance(attributes, dict) or not all(map(_fits, attributes.values())):
        raise ValueError("its attributes are of another kind")
    return Decision(**values)


def _fits(value: object) -> bool:
    return isinstance(value, dict) and ANY in value
