"""What is read again and again from elsewhere, and holds for a while when that fails."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from policies.refusal import Rejected
from protos.errors import PenstockError

log = logging.getLogger(__name__)

T = TypeVar("T")

TIMEOUT = 5.0  # seconds after which a read that hangs counts as failed


class LastGood(Generic[T]):
    """The value of `read`, which is called in a thread every `interval` seconds and may raise.

    While it fails, the last value counts for `keep` seconds, then none. `on_change` is called
    whenever another value counts than before, or none any more. `name` is for logs; `clock` is
    monotonic.
    """

    def __init__(
        self,
        read: Callable[[], T],
        name: str,
        *,
        interval: float,
        keep: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._name = name
        self._interval = interval
        self._keep = keep
        self._clock = clock
        self._good = self._began = 0.0
        self._reading: asyncio.Task[T] | None = None
        self.value: T | None = None
        self.failures = 0  # since the last success
        self.on_change: Callable[[], None] = lambda: None
        self.looked = asyncio.Event()  # has been read once, or tried to

    def load(self) -> None:
        """Reads at once, in this thread; raises what `read` raises."""
        began = self._clock()
        self._take(self._read(), began)

    async def look(self) -> None:
        """Reads once; a failure is noted, and logged the first time.

        A read that hangs is waited for again next time: there is never more than one thread.
        """
        if self._reading is None:
            self._began = self._clock()
            self._reading = asyncio.create_task(asyncio.to_thread(self._read), name=self._name)
        done, _ = await asyncio.wait({self._reading}, timeout=TIMEOUT)
        self.looked.set()
        if not done:
            self._failed(TimeoutError())
            return
        reading, self._reading = self._reading, None
        if (failure := reading.exception()) is not None:
            self._failed(failure)
        else:
            self._take(reading.result(), self._began)

    async def run(self) -> None:
        """Looks until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(self._interval)
        finally:
            if self._reading is not None:
                self._reading.cancel()

    def _take(self, value: T, began: float) -> None:
        if self.failures:
            log.info("%s can be read again", self._name)
        self.failures = 0
        self._good = began
        if value != self.value:
            self.value = value
            self.on_change()

    def _failed(self, failure: BaseException) -> None:
        self.failures += 1
        if self.failures == 1:
            ours = isinstance(failure, Rejected | PenstockError)  # others may tell secrets
            log.warning(
                "%s can't be read: %s", self._name, failure if ours else type(failure).__name__
            )
        if self.value is not None and self._clock() - self._good > self._keep:
            log.error("%s can't be read for too long: what was known no longer counts", self._name)
            self.value = None
            self.on_change()
