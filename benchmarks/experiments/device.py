"""The device thread of an experimental backend: takes what is queued, computes a batch, posts it back to the loop."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Container
from typing import Any

import numpy as np

Done = Callable[[Any, bytes, int, int, int], None]  # call, output, queue µs, compute µs, rows
Job = tuple[
    Any, Done, float, Container[int]
]  # call, done, when it came, the calls that nobody cancelled


class Device(threading.Thread):
    """Batches up to `rows` calls; a 64 → 256 → 10 network in NumPy stands for the model.

    `record` is a mapped file which says which calls are on the device; it outlives the process, so that whoever
    started it can tell who was executing when it died. A suspect goes first, in a batch of its own.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, record: str = "", rows: int = 32) -> None:
        super().__init__(daemon=True, name="device")
        self._loop, self._rows = loop, rows
        words = rows + 1
        self._record = (
            np.memmap(record, np.uint64, "r+", shape=words)
            if record
            else np.zeros(words, np.uint64)
        )
        self._jobs: queue.SimpleQueue[list[Job]] = queue.SimpleQueue()
        rng = np.random.default_rng(0)
        self._hidden = rng.standard_normal((64, 256), np.float32)
        self._head = rng.standard_normal((256, 10), np.float32)

    def submit(self, jobs: list[Job]) -> None:
        self._jobs.put(jobs)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        return np.maximum(batch @ self._hidden, 0) @ self._head

    def run(self) -> None:
        waiting: list[Job] = []
        while True:
            if not waiting:
                waiting = list(self._jobs.get())
            while len(waiting) < self._rows:
                try:
                    waiting += self._jobs.get_nowait()
                except queue.Empty:
                    break
            waiting = [job for job in waiting if job[0].id in job[3]]
            if not waiting:
                continue
            waiting.sort(key=lambda job: not job[0].suspect)
            size = 1 if waiting[0][0].suspect else self._rows
            batch, waiting = waiting[:size], waiting[size:]
            self._execute(batch)

    def _execute(self, batch: list[Job]) -> None:
        self._record[1 : 1 + len(batch)] = [call.id for call, *_ in batch]
        self._record[0] = len(batch)
        start = time.monotonic()
        rows = np.empty((len(batch), 64), np.float32)
        busy = fixed = 0
        for row, (call, *_) in zip(rows, batch, strict=True):
            if call.poison:
                os._exit(134)
            busy += call.row_us
            fixed = max(fixed, call.batch_us)
            row[:] = np.frombuffer(call.input, np.float32, 64)
        out = self.compute(rows)
        if busy or fixed:
            time.sleep((busy + fixed) / 1e6)  # an accelerator at work: the processor is free
        self._record[0] = 0
        took = int((time.monotonic() - start) * 1e6)
        self._loop.call_soon_threadsafe(self._deliver, batch, out, start, took)

    def _deliver(self, batch: list[Job], out: np.ndarray, start: float, took: int) -> None:
        for row, (call, done, queued, _) in zip(out, batch, strict=True):
            done(call, row.tobytes(), int((start - queued) * 1e6), took, len(batch))
