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
    """`export` is called in the queue's thread, and says how many of the spans were taken.

    Counters: `exported` and `dropped`, of spans.
    """

    def __init__(
        self,
        export: Callable[[Sequence[Span]], int],
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
        self._in_hand = 0
        self._abandoned = 0  # when it was closed
        self.exported = 0
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        return self._refused + self._lost + self._abandoned

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
        with self._lock:  # nothing is waited for any more, and nothing more is counted
            self._abandoned = self._in_hand + len(self._waiting)
            self._waiting.clear()

    def _run(self) -> None:
        while True:
            # Woken only for a full batch: waking a thread for every request would cost the loop.
            self._wake.wait(self._linger)
            self._wake.clear()
            while batch := self._take():
                taken = self._export(batch)
                with self._lock:
                    if self._abandoned:
                        return
                    self._in_hand = 0
                    self.exported += taken
                    self._lost += len(batch) - taken
                    if not taken and self._closing:
                        self._lost += len(self._waiting)
                        self._waiting.clear()
            if self._closing:
                return

    def _take(self) -> list[Span]:
        with self._lock:
            self._in_hand = min(BATCH, len(self._waiting))
            return [self._waiting.popleft() for _ in range(self._in_hand)]

    def __repr__(self) -> str:
        return f"<SpanQueue {self.queued} queued, {self.exported} sent, {self.dropped} dropped>"
