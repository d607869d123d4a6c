"""Spans wait here to be sent: a bounded queue and one thread, so that nobody waits for a collector.

A collector that is dead or slow costs spans, which are counted, and nothing else.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from protos.span import Span

CAPACITY = 8192  # spans, 10 MB
BATCH = 512
LINGER = 0.5  # seconds that spans wait for others


class SpanQueue:
    """`export` is called in the queue's thread, and says whether the spans were taken.

    Counters: `exported` and `dropped`, of spans.
    """

    def __init__(
        self,
        export: Callable[[Sequence[Span]], bool],
        *,
        capacity: int = CAPACITY,
        linger: float = LINGER,
    ) -> None:
        self._export = export
        self._capacity = capacity
        self._linger = linger
        self._waiting: deque[Span] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._refused = 0  # each counter has one writer
        self._lost = 0
        self.exported = 0
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        return self._refused + self._lost

    @property
    def queued(self) -> int:
        return len(self._waiting)

    def put(self, spans: Sequence[Span]) -> None:
        """All of them or none, from any thread; never blocks for long, never raises."""
        with self._lock:
            queued = len(self._waiting) + len(spans)
            if queued > self._capacity or self._closing:
                self._refused += len(spans)
                return
            self._waiting.extend(spans)
        if queued >= BATCH:
            self._wake.set()

    def close(self, timeout: float) -> None:
        """Sends what waits, for at most so many seconds; the rest is dropped."""
        with self._lock:
            self._closing = True
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            # Woken only for a full batch: waking a thread for every request would cost the loop.
            self._wake.wait(self._linger)
            self._wake.clear()
            while batch := self._take():
                if self._export(batch):
                    self.exported += len(batch)
                else:
                    self._lost += len(batch)
                    if self._closing:
                        self._lost += self._drop()
            if self._closing:
                return

    def _take(self) -> list[Span]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _drop(self) -> int:
        with self._lock:
            dropped = len(self._waiting)
            self._waiting.clear()
            return dropped

    def __repr__(self) -> str:
        return f"<SpanQueue {self.queued} queued, {self.exported} sent, {self.dropped} dropped>"
