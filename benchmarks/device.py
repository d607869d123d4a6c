"""One model on one device in this process: the product's life cycle and device loop, no wire."""

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import count
from math import inf
from pathlib import Path

import numpy as np

from backends.batching.bucket import bucket_of
from backends.batching.device_loop import DeviceLoop
from backends.batching.job import Job, Outcome
from backends.models.lifecycle import Lifecycle
from backends.models.table import ReadyEntry
from backends.runtime import Arrays
from protos.errors import PenstockError


@dataclass(slots=True)
class Tally:
    """What was answered since the last look; latencies in seconds from the planned arrival."""

    latencies: list[float] = field(default_factory=list)
    rows: Counter[int] = field(default_factory=Counter)  # of the batch, by requests
    refused: int = 0

    def quantile(self, share: float) -> float:
        return float(np.quantile(self.latencies, share))

    @property
    def batch(self) -> float:
        """Mean rows of the batch that a request was in."""
        return sum(rows * n for rows, n in self.rows.items()) / max(1, self.rows.total())


class Device:
    """Takes requests by their inputs."""

    def __init__(self, loop: DeviceLoop, entry: ReadyEntry) -> None:
        self._loop = loop
        self._entry = entry
        self._ids = count()
        self._answered = threading.Condition()
        self._waiting = 0
        self._tally = Tally()

    def deliver(self, outcomes: list[Outcome]) -> None:
        """Called by the loop's threads."""
        now = time.monotonic()
        with self._answered:
            for outcome in outcomes:
                if outcome.error is not None:
                    self._tally.refused += 1
                else:
                    self._tally.latencies.append(now - outcome.job.arrival)
                    self._tally.rows[outcome.batch_rows] += 1
                self._waiting -= 1
            self._answered.notify()

    def saturate(self, inputs: Iterator[Arrays], seconds: float, depth: int) -> float:
        """Requests a second with `depth` always waiting or executing."""
        self._begin()
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            with self._answered:
                self._answered.wait_for(lambda: self._waiting < depth)
                room = depth - self._waiting
            for _ in range(room):
                self._submit(next(inputs), time.monotonic())
        # Only what was answered within the window counts.
        passed, answered = time.monotonic() - began, len(self._tally.latencies)
        self._end()
        return answered / passed

    def arrive(self, inputs: Iterator[Arrays], rate: float, seconds: float, seed: int) -> Tally:
        """Poisson arrivals at `rate` a second, whether or not earlier ones were answered."""
        rng = np.random.default_rng(seed)
        self._begin()
        due = time.monotonic()
        until = due + seconds
        while due < until:
            pause = due - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            self._submit(next(inputs), due)
            due += rng.exponential(1 / rate)
        return self._end()

    def _submit(self, inputs: Arrays, arrival: float) -> None:
        entry = self._entry
        bucket, rows = bucket_of(inputs, entry.policy)
        job = Job(next(self._ids), entry.key, inputs, rows, arrival, inf, bucket=bucket)
        with self._answered:
            self._waiting += 1
        try:
            self._loop.submit(job)
        except PenstockError:
            with self._answered:
                self._waiting -= 1
                self._tally.refused += 1

    def _begin(self) -> None:
        self._tally = Tally()

    def _end(self) -> Tally:
        with self._answered:
            if not self._answered.wait_for(lambda: not self._waiting, 120.0):
                raise RuntimeError(f"{self._waiting} requests were never answered")
        return self._tally


@contextlib.asynccontextmanager
async def serving(
    repository: Path, runtime: str, model: str, device: str, threads: int
) -> AsyncIterator[Device]:
    """The model, warmed up and ready; raises RuntimeError with the reason if it can't be served."""
    found: list[Device] = []
    loop = DeviceLoop(lambda outcomes: found[0].deliver(outcomes))
    loop.start()
    lifecycle = Lifecycle(repository, runtime, loop, device=device, threads=threads)
    watching = asyncio.create_task(lifecycle.run())
    try:
        await lifecycle.load(model)
        found.append(Device(loop, lifecycle.get(model, "")))
        yield found[0]
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await lifecycle.close()
        loop.stop(drain=False, timeout=5.0)
