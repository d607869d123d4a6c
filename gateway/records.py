"""The record store as a gateway's processes use it: opened when it answers, written off the path.

What is written on behalf of requests (comparisons, decisions, counts of arms) goes through bounded
queues: a store that is down or slow costs records, which are counted, and nothing else.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from gateway.store.engine import Store, open_store
from gateway.store.recorder import Recorder

log = logging.getLogger(__name__)

T = TypeVar("T")

CAPACITY = 10_000  # records that wait; some 10 MB
BATCH = 200
LINGER = 0.5  # seconds that a record may wait for others
TIDY_INTERVAL = 60.0  # seconds


class Records:
    """`store` opens the store at its first use, and again at the next one if that failed.

    So it does when another file has taken the place of the one that it had opened.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._store: Store | None = None
        self._gone = ""  # why what was opened can't be used any more, once that is in the log
        self._opening = threading.Lock()
        self._recorders: list[Callable[[float], None]] = []  # what closes them

    def store(self) -> Store:
        """For one use. Raises what the database raises; not for the event loop's thread."""
        with self._opening:
            if self._store is None:
                self._store = self._open()
                return self._store
            try:
                if not self._store.stands():
                    # Nothing is made: a file that is just being put there may still be empty.
                    opened = self._open(make=False)
                    self._store.close()
                    self._store = opened
                    log.error("%r was replaced by another file, which is used from here on", opened)
            except SQLAlchemyError as error:
                if str(error) != self._gone:
                    self._gone = str(error)
                    log.error("%r can't be used any more: %s", self._store, error)
                raise
            self._gone = ""
            return self._store

    def _open(self, *, make: bool = True) -> Store:
        return open_store(self._url.render_as_string(hide_password=False), make=make)

    def recorder(self, write: Callable[[Store, Sequence[T]], None], name: str) -> Recorder[T]:
        """A queue whose records are written with `write`; `name` is what logs call them."""

        def flush(records: Sequence[T]) -> None:
            write(self.store(), records)

        recorder = Recorder(flush, capacity=CAPACITY, batch=BATCH, linger=LINGER, name=name)
        self._recorders.append(recorder.close)
        return recorder

    async def tidy(self, keep: float) -> None:
        """Forgets what is older than `keep` seconds, every minute until cancelled."""
        while True:
            await asyncio.sleep(TIDY_INTERVAL)
            if self._store is None:
                continue
            try:
                await asyncio.to_thread(lambda: self.store().tidy(time.time(), keep))
            except SQLAlchemyError as error:
                log.warning("old records can't be forgotten: %s", type(error).__name__)

    def close(self, timeout: float) -> None:
        """Writes what waits, as far as that goes in so many seconds."""
        for close in self._recorders:
            close(timeout)
        if self._store is not None:
            self._store.close()
