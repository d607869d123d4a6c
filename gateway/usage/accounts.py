"""Keeps what is used in the record store, and reads what other processes have used of budgets.

Each process writes what it has counted in all, over what it wrote before, so that a batch that is
written twice counts once. A process that is killed loses a second of it, and at most one more half
that was waiting to be written.
"""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from gateway.records import CAPACITY, Records
from gateway.store.budgets import Spent
from gateway.store.engine import Store
from gateway.usage.book import UsageBook
from gateway.usage.spending import Spending
from gateway.usage.value import Usage
from policies.limits.budgets import Elsewhere

log = logging.getLogger(__name__)

WRITE_INTERVAL = 1.0  # seconds
READ_INTERVAL = 5.0
PATIENCE = 2.0  # seconds that a start waits for what was used of budgets before

T = TypeVar("T")
Numbered = tuple[str, T]  # by the process and number that counted it


class Accounts:
    """One process's part; `process` is its name. `elsewhere` is told what others have used."""

    def __init__(
        self, records: Records, process: str, elsewhere: Elsewhere, shown: Collection[str]
    ) -> None:
        self.usage = UsageBook(time.time, shown)
        self.spending = Spending(time.monotonic, time.time)
        self._elsewhere = elsewhere
        self._records = records
        # Distinct for each start, as what it counted before stays.
        self._process = f"{socket.gethostname()}/{process}/{os.getpid()}/{secrets.token_hex(4)}"
        self.written = records.recorder(_write_usage, "usage")
        self.spent = records.recorder(_write_spent, "uses of budgets")
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    async def start(self) -> None:
        """Knows what was used of budgets before, if the store answers soon, and goes on."""
        reading = asyncio.create_task(self._read(), name="budgets")
        await asyncio.wait([reading], timeout=PATIENCE)
        self._task = asyncio.create_task(self._run(reading), name="usage")

    async def close(self) -> None:
        """Hands over what was counted; the records' own closing writes it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._hand_over()

    async def _run(self, reading: asyncio.Task[None]) -> None:
        await reading
        read_at = time.monotonic()
        while True:
            await asyncio.sleep(WRITE_INTERVAL)
            self._hand_over()
            if time.monotonic() - read_at >= READ_INTERVAL:
                await self._read()
                read_at = time.monotonic()

    def _hand_over(self) -> None:
        # While the store takes nothing, counts grow here instead of waiting there in many versions.
        if not self.written.queued:
            for number, usage in self.usage.changed(CAPACITY):
                self.written.put((f"{self._process}/{number}", usage))
        if not self.spent.queued:
            for number, spent in self.spending.changed(CAPACITY):
                self.spent.put((f"{self._process}/{number}", spent))

    async def _read(self) -> None:
        try:
            uses = await asyncio.to_thread(self._others)
        except (SQLAlchemyError, OSError) as failure:
            if not self._failing:
                log.warning("what was used of budgets can't be read: %s", type(failure).__name__)
            self._failing = True
            return
        self._failing = False
        self._elsewhere.learn(uses)

    def _others(self) -> dict[tuple[str, str, str], float]:
        return self._records.store().budgets.read(time.time(), but=self._process)


def _write_usage(store: Store, records: Sequence[Numbered[Usage]]) -> None:
    for process, found in _by_process(records):
        store.usage.write(process, found)


def _write_spent(store: Store, records: Sequence[Numbered[Spent]]) -> None:
    for process, found in _by_process(records):
        store.budgets.write(process, found)


def _by_process(records: Sequence[Numbered[T]]) -> Iterable[tuple[str, list[T]]]:
    found: dict[str, list[T]] = {}
    for process, record in records:
        found.setdefault(process, []).append(record)
    return found.items()
