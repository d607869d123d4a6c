"""Device loops with runtimes of known behaviour, and a place where outcomes arrive."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from math import inf
from typing import Any

import numpy as np

from backends.batching.bucket import bucket_of
from backends.batching.device_loop import DeviceLoop
from backends.batching.job import BatchPolicy, Job, Outcome
from backends.runtime import Arrays
from protos.values import Parameters, Signature, TensorSpec

KEY = ("m", "1")
ECHO = Signature(
    "test", (TensorSpec("x", "INT64", (-1, -1)),), (TensorSpec("y", "INT64", (-1, -1)),), 4
)
STREAM = Signature(
    "test",
    (TensorSpec("x", "INT64", (-1, -1)),),
    (TensorSpec("y", "INT64", (-1,)),),
    decoupled=True,
)
POLICY = BatchPolicy(max_rows=4)
WAIT = 10.0  # seconds after which a test has failed

_ids = count(1)


def job(*values: int, timeout: float = inf, policy: BatchPolicy = POLICY, **fields: Any) -> Job:
    """One row a value, each a row of two numbers."""
    inputs = {"x": np.array([[value, value] for value in values], np.int64)}
    bucket, rows = bucket_of(inputs, policy)
    now = time.monotonic()
    return Job(
        next(_ids),
        fields.pop("model", KEY),
        inputs,
        rows,
        now,
        now + timeout,
        bucket=bucket,
        **fields,
    )


class Echo:
    """Gives its input back; raises what `bad` says for a value. `batches` are the values seen."""

    def __init__(self, bad: dict[int, BaseException] | None = None) -> None:
        self.batches: list[list[int]] = []
        self.staged_by: list[str] = []
        self._bad = bad or {}

    def load(self) -> Signature:
        return ECHO

    def stage(self, inputs: Arrays) -> Arrays:
        self.staged_by.append(threading.current_thread().name)
        return inputs

    def execute(self, staged: Arrays) -> Arrays:
        values = [int(value) for value in staged["x"][:, 0]]
        self.batches.append(values)
        for value in values:
            if value in self._bad:
                raise self._bad[value]
        return {"y": staged["x"]}

    def stream(self, inputs: Arrays, parameters: Parameters) -> Iterator[Arrays]:
        for value in inputs["x"][:, 0]:
            yield {"y": np.array([value], np.int64)}

    def memory_bytes(self) -> int:
        return 0

    def unload(self) -> None:
        pass


class Gated(Echo):
    """Executes only what the test lets through: `entered` when a batch is in, `let` ends it."""

    def __init__(self, bad: dict[int, BaseException] | None = None) -> None:
        super().__init__(bad)
        self.entered = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def execute(self, staged: Arrays) -> Arrays:
        self.entered.release()
        if not self.let.acquire(timeout=WAIT):
            raise TimeoutError("the test let nothing through")
        return super().execute(staged)


class Inbox:
    """Where outcomes arrive; `take(n)` waits for n more, in the order of arrival."""

    def __init__(self) -> None:
        self._arrived: list[Outcome] = []
        self._taken = 0
        self._changed = threading.Condition()
        self.deliveries: list[int] = []

    def __call__(self, outcomes: list[Outcome]) -> None:
        with self._changed:
            self._arrived += outcomes
            self.deliveries.append(len(outcomes))
            self._changed.notify_all()

    def take(self, number: int) -> list[Outcome]:
        with self._changed:
            until = self._taken + number
            there = self._changed.wait_for(lambda: len(self._arrived) >= until, WAIT)
            assert there, f"{len(self._arrived) - self._taken} of {number} outcomes came"
            taken = self._arrived[self._taken : until]
            self._taken = until
            return taken

    def finish(self) -> list[Outcome]:
        """What came and was not taken yet."""
        with self._changed:
            return self._arrived[self._taken :]


@contextmanager
def running(
    runtime: Any, signature: Signature = ECHO, policy: BatchPolicy = POLICY
) -> Iterator[tuple[DeviceLoop, Inbox]]:
    inbox = Inbox()
    loop = DeviceLoop(inbox)
    loop.start()
    loop.add_model(KEY, runtime, signature, policy)
    try:
        yield loop, inbox
    finally:
        for gate in (getattr(runtime, "let", None),):
            if gate is not None:
                gate.release(1000)
        assert loop.stop(drain=False, timeout=WAIT)


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread is about to do and no event tells."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
