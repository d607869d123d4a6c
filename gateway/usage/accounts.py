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
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from gateway.records import CAPACITY, Records
from gateway.store.budgets import Spent, Uses
from gateway.store.engine import Store
from gateway.usage.book import UsageBook
from gateway.usage.spending import Spending
from gateway.usage.value import Usage
from policies.limits.elsewhere import Elsewhere

log = logging.getLogger(__name__)

WRITE_INTERVAL = 1.0  # seconds
READ_INTERVAL = 5.0
AT_A_TIME = 256  # counts that are handed over in one turn of the event loop; half a millisecond
PATIENCE = 2.0  # seconds that a start waits for what was used of budgets before

T = TypeVar("T")
Numbered = tuple[str, T]  # by the process and number that counted it


class Accounts:
    """One process's part; `process` is its name. `elsewhere` is told what is read."""

    def __init__(
        self, records: Records, process: str, elsewhere: Elsewhere, shown: Collection[str]
    ) -> None:
        self.usage = UsageBook(time.time, shown)
        self.spending = Spending(time.monotonic, time.time, elsewhere.called)
        self._elsewhere = elsewhere
        self._records = records
        # Distinct for each start, as what it counted before stays.
        self._process = f"{socket.gethostname()}/{process}/{os.getpid()}/{secrets.token_hex(4)}"
        self.written = records.recorder(_write_usage, "usage")
        self.spent = records.recorder(_write_spent, "uses of budgets")
        self._tasks: list[asyncio.Task[None]] = []
        self._failing = False

    async def start(self) -> None:
        """Knows what was used of budgets before, if the store answers soon, and goes on."""
        reading = asyncio.create_task(self._read(), name="budgets")
        await asyncio.wait([reading], timeout=PATIENCE)
        # Apart, as a store that doesn't answer a question may still take what it is told.
        self._tasks = [
            asyncio.create_task(self._keep_reading(reading), name="budgets"),
            asyncio.create_task(self._keep_writing(), name="usage"),
        ]

    async def close(self) -> None:
        """Hands over what was counted; the records' own closing writes it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in self._hand_over(usage=True, spent=True):
            pass

    async def _keep_reading(self, first: asyncio.Task[None]) -> None:
        await first
        while True:
            await asyncio.sleep(READ_INTERVAL)
            await self._read()

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(WRITE_INTERVAL)
            # While the store takes nothing, counts grow here instead of waiting there in many
            # versions.
            turns = self._hand_over(usage=not self.written.queued, spent=not self.spent.queued)
            for _ in turns:
                await asyncio.sleep(0)

    def _hand_over(self, *, usage: bool, spent: bool) -> Iterator[None]:
        """What has changed, some at a time."""
        for _ in range(CAPACITY // AT_A_TIME):
            counts = self.usage.changed(AT_A_TIME) if usage else []
            uses = self.spending.changed(AT_A_TIME) if spent else []
            if not counts and not uses:
                return
            for number, count in counts:
                self.written.put((f"{self._process}/{number}", count))
            for number, use in uses:
                self.spent.put((f"{self._process}/{number}", use))
            yield

    async def _read(self) -> None:
        try:
            others, itself = await asyncio.to_thread(self._uses)
        except (SQLAlchemyError, OSError) as failure:
            if not self._failing:
                log.warning("what was used of budgets can't be read: %s", type(failure).__name__)
            self._failing = True
            return
        self._failing = False
        self._elsewhere.learn(others, itself)

    def _uses(self) -> tuple[Uses, Uses]:
        return self._records.store().budgets.read(time.time(), self._process)


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
