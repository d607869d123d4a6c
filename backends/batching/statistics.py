"""What has become of each model's requests: the protocol's ModelStatistics, and more.

Times are nanoseconds, as in the protocol. A request counts the whole of its batch's times, as in
Triton; a split one those of all its batches.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from backends.batching.batch import Batch, Reason
from backends.batching.job import Outcome
from protos.errors import Kind
from protos.histogram import Histogram

# Upper ends of the buckets of times and of batches' rows.
SECONDS = (
    *(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


@dataclass(frozen=True, slots=True)
class Duration:
    """How many, and nanoseconds together."""

    count: int = 0
    ns: int = 0

    def plus(self, seconds: float, count: int = 1) -> "Duration":
        """`count` more, which took `seconds` together."""
        return Duration(self.count + count, self.ns + int(seconds * 1e9))


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """Executions of one number of rows, filling not counted."""

    compute_input: Duration = Duration()
    compute_infer: Duration = Duration()
    compute_output: Duration = Duration()


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    """A snapshot. `inference_count` is rows, `execution_count` batches (a stream counts as one).

    `last_inference_ms` is since 1970, 0 before the first. `dispatches` are batches by reason,
    `padding_rows` rows executed for nothing. `predicted`, `actual` and `prediction_error` are the
    predicted time of executed batches, what they took, and the absolute difference.
    """

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    inference_count: int
    execution_count: int
    last_inference_ms: int
    batches: dict[int, BatchStatistics]
    dispatches: dict[Reason, int]
    padding_rows: int
    deadline_misses: int
    predicted: Duration
    prediction_error: Duration
    actual: Duration
    batch_rows: Histogram
    queue_times: Histogram
    compute_times: Histogram


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that a batch took to be put together and staged, to execute, to be taken apart."""

    input: float
    infer: float
    output: float


@dataclass(slots=True)
class Recorder:
    """Counts one model's batches and outcomes; only ever used under the device loop's lock."""

    _success: Duration = Duration()
    _fail: Duration = Duration()
    _queue: Duration = Duration()
    _input: Duration = Duration()
    _infer: Duration = Duration()
    _output: Duration = Duration()
    _rows: int = 0
    _executions: int = 0
    _last: int = 0
    _batches: dict[int, BatchStatistics] = field(default_factory=dict)
    _dispatches: dict[Reason, int] = field(default_factory=dict)
    _padding: int = 0
    _misses: int = 0
    _predicted: Duration = Duration()
    _error: Duration = Duration()
    _actual: Duration = Duration()
    _batch_rows: Histogram = field(default_factory=lambda: Histogram(ROWS))
    _queue_times: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    _compute_times: Histogram = field(default_factory=lambda: Histogram(SECONDS))

    def dispatched(self, batch: Batch) -> None:
        self._dispatches[batch.reason] = self._dispatches.get(batch.reason, 0) + 1

    def executed(self, batch: Batch, times: Times) -> None:
        """A batch succeeded."""
        rows = batch.rows
        self._executions += 1
        self._rows += rows
        self._padding += batch.padded_rows - rows
        self._last = time.time_ns() // 1_000_000
        of_size = self._batches.get(rows) or BatchStatistics()
        self._batches[rows] = BatchStatistics(
            of_size.compute_input.plus(times.input),
            of_size.compute_infer.plus(times.infer),
            of_size.compute_output.plus(times.output),
        )
        if batch.predicted:
            self._predicted = self._predicted.plus(batch.predicted)
            self._error = self._error.plus(abs(batch.predicted - times.infer))
            self._actual = self._actual.plus(times.infer)
        self._batch_rows.observe(rows)
        self._compute_times.observe(times.infer)

    def answered(self, outcomes: Sequence[Outcome], now: float, times: Times) -> None:
        """Final outcomes of jobs, all of one batch or of none (`times` 0)."""
        good = [outcome for outcome in outcomes if outcome.error is None]
        count = len(good)
        if count:
            total = sum([now - outcome.job.arrival for outcome in good])
            self._success = self._success.plus(total, count)
            self._queue = self._queue.plus(sum([outcome.queue for outcome in good]), count)
            self._infer = self._infer.plus(sum([outcome.compute for outcome in good]), count)
            self._input = self._input.plus(times.input * count, count)
            self._output = self._output.plus(times.output * count, count)
        for outcome in outcomes:
            self._queue_times.observe(outcome.queue)
            if outcome.error is not None:
                self._fail = self._fail.plus(now - outcome.job.arrival)
                if outcome.error.kind is Kind.DEADLINE:
                    self._misses += 1

    def streamed(self, rows: int) -> None:
        """A stream came to its end."""
        self._executions += 1
        self._rows += rows
        self._last = time.time_ns() // 1_000_000

    def snapshot(self) -> ModelStatistics:
        return ModelStatistics(
            self._success,
            self._fail,
            self._queue,
            self._input,
            self._infer,
            self._output,
            self._rows,
            self._executions,
            self._last,
            dict(self._batches),
            dict(self._dispatches),
            self._padding,
            self._misses,
            self._predicted,
            self._error,
            self._actual,
            self._batch_rows.copy(),
            self._queue_times.copy(),
            self._compute_times.copy(),
        )
