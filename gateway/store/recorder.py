"""Writes records off the request path: a bounded queue and one thread.

A store that fails or hangs costs records, which are counted, and nothing else: whoever puts one
never waits, never sees an error, and holds no more than the queue's capacity.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy.exc import DataError, IntegrityError, StatementError

from gateway.store.failure import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT = 0.1  # seconds after a failure, doubled with each one that follows
LONGEST_WAIT = 10.0


class Recorder(Generic[T]):
    """`write` is called in the recorder's thread with up to `batch` records at a time.

    A record waits up to `linger` seconds for others. Of a batch that a store refuses for what is in
    it, the records are written one by one and the bad ones dropped; after any other failure the
    batch is tried again, for ever. Counters: `written`, `dropped`, `failures` of `write`, `queued`.
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], None],
        *,
        capacity: int,
        batch: int,
        linger: float,
        name: str = "records",
    ) -> None:
        self._write = write
        self._capacity = capacity
        self._batch = batch
        self._linger = linger
        self._name = name
        self._waiting: deque[T] = deque()  # its ends may be used from different threads
        self._in_hand = 0
        self._closing = threading.Event()
        self._give_up = float("inf")  # time.monotonic
        self._failing = False
        self._refused = 0  # dropped by `put`
        self._lost = 0  # dropped by the thread: each counter has one writer
        self.written = 0
        self.failures = 0
        self._thread = threading.Thread(target=self._run, name=f"writes {name}", daemon=True)
        self._thread.start()

    def put(self, item: T) -> bool:
        """False when the record was dropped; never blocks."""
        if len(self._waiting) >= self._capacity or self._closing.is_set():
            self._refused += 1
            return False
        self._waiting.append(item)
        return True

    @property
    def queued(self) -> int:
        """Records that wait or are just being written."""
        return len(self._waiting) + self._in_hand

    @property
    def dropped(self) -> int:
        return self._refused + self._lost

    def close(self, timeout: float) -> None:
        """Writes what waits, and drops what isn't written after `timeout` seconds."""
        self._give_up = time.monotonic() + timeout
        self._closing.set()
        self._thread.join(timeout)
        if not self._thread.is_alive():
            return
        # The store hangs, and the thread with it; it ends with the process.
        lost = self.queued
        log.warning("%d %s are lost: the store doesn't answer", lost, self._name)

    def _run(self) -> None:
        while not self._closing.wait(self._linger):
            self._write_waiting()
        self._write_waiting()

    def _write_waiting(self) -> None:
        while self._waiting:
            count = min(self._batch, len(self._waiting))
            # What is in hand is counted before it leaves the queue, so that nothing is unseen.
            self._in_hand = count
            self._persist([self._waiting.popleft() for _ in range(count)])
            self._in_hand = 0

    def _persist(self, records: list[T]) -> None:
        wait = FIRST_WAIT
        while (error := self._failure(records)) is not None:
            if _refuses(error):
                self._without_bad_ones(records, error)
                return
            self._note(error)
            left = self._give_up - time.monotonic()
            if left <= 0:
                self._lost += len(records)
                return
            if self._closing.is_set():
                time.sleep(min(wait, left))
            else:
                self._closing.wait(wait)
            wait = min(LONGEST_WAIT, 2 * wait)
        self.written += len(records)
        self._note(None)

    def _failure(self, records: list[T]) -> Exception | None:
        try:
            self._write(records)
        except Exception as error:
            self.failures += 1
            return error
        return None

    def _without_bad_ones(self, records: list[T], error: Exception) -> None:
        if len(records) > 1:
            for record in records:
                self._persist([record])
            return
        self._lost += 1
        # Not its text, which may hold the record.
        log.warning("one of the %s is dropped: %s", self._name, type(error).__name__)

    def _note(self, error: Exception | None) -> None:
        """One line when writing begins to fail, and one when it works again."""
        if error is not None and not self._failing:
            # What is no mistake of ours is one sentence, and has nothing of the records in it.
            known = isinstance(error, OSError | StoreError)
            log.error(
                "%s can't be written, up to %d wait%s",
                self._name,
                self._capacity,
                f": {error}" if known else "",
                exc_info=None if known else error,
            )
        if error is None and self._failing:
            log.info("%s are written again; %d were dropped so far", self._name, self.dropped)
        self._failing = error is not None


def _refuses(error: Exception) -> bool:
    """Whether the records are at fault; then to try again with the same ones is useless."""
    return isinstance(error, (DataError, IntegrityError, TypeError, ValueError)) or (
        # Not one of its subclasses: the driver wasn't even asked.
        type(error) is StatementError
    )
