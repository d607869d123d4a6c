"""Rows of records that somebody changed, or that a disk did."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from sqlalchemy import Row

log = logging.getLogger(__name__)

Record = TypeVar("Record")


def readable(
    rows: Iterable[Row[Any]], read: Callable[[Row[Any]], Record], what: str
) -> Iterator[Record]:
    """The rows' records. Those that can't be read are left out and told of in the log: a report
    of thousands is worth more than none."""
    lost = 0
    for row in rows:
        try:
            record = read(row)
        except (ValueError, TypeError, KeyError, RecursionError):
            lost += 1
            continue
        yield record
    if lost:
        log.warning("%d %s in the record store can't be read and are left out", lost, what)
