"""The unit of a backend's work: one call's inputs, what is promised for it, what came of it."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from backends.runtime import Arrays
from protos.datatypes import Array
from protos.errors import PenstockError

ModelKey = tuple[str, str]  # name, version

# What must agree among the requests of one batch: each input's name, NumPy type character and
# dimensions (but the rows, where the model batches) after filling up, in the order of the names.
Bucket = tuple[tuple[str, str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class PadRule:
    """How a variable dimension may be lengthened so that different lengths share a batch.

    `axes` gives, by input name, the axis that has this symbol; `values` what to fill with (the
    model's own mask must make the filling invisible); `sizes` the lengths that are executed,
    ascending. Outputs whose dimension carries the same symbol are cut back.
    """

    symbol: str
    axes: Mapping[str, int]
    values: Mapping[str, float]
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """How a model's requests are gathered.

    `max_rows` 0 means that the model has no batch dimension and runs one request at a time;
    `sizes` are the numbers of rows that are executed (ascending, the last is `max_rows`), requests
    are filled up to the next; empty: any number. `max_delay` is in seconds and caps how long a
    request may wait for company. `stall_after`: seconds without progress that make the device
    loop count as wedged.
    """

    max_rows: int = 0
    sizes: tuple[int, ...] = ()
    max_delay: float = 0.002
    pads: tuple[PadRule, ...] = ()
    priority_levels: int = 3
    default_priority: int = 2
    max_queue_rows: int = 4096
    stall_after: float = 4.0


@dataclass(slots=True, eq=False)
class Job:
    """One call in the backend. Times are seconds of the injected monotonic clock.

    `inputs` have the rows first if the model batches. `bucket` is what `bucket_of` found.
    `credit` is how many more bytes of streamed parts the caller has room for.
    """

    id: Hashable
    model: ModelKey
    inputs: Arrays
    rows: int
    arrival: float
    deadline: float
    priority: int = 2
    tenant: str = ""
    bucket: Bucket = ()
    wanted: tuple[str, ...] = ()
    parameters: Mapping[str, bool | int | float | str] | None = None
    traceparent: str = ""
    shadow: bool = False
    suspect: bool = False
    streaming: bool = False
    credit: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job: outputs or an error, one or (streamed) many of these, `final` last."""

    job: Job
    outputs: dict[str, Array] | None
    error: PenstockError | None
    final: bool
    executed: bool
    queue: float = 0.0  # seconds
    compute: float = 0.0
    batch_rows: int = 0
    padded_rows: int = 0


@dataclass(frozen=True, slots=True)
class LoadReport:
    """How busy a device is; seconds of predicted work, and quantiles of recent batches' times."""

    queued_work: float
    in_flight: int
    service_p50: float
    service_p99: float
    progress: int
    busy_since: float | None  # when the executing batch began; None when idle
