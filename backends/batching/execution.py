"""One batch through one runtime: prepared, executed, taken apart, each maybe on another thread."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backends.batching.batch import Batch, assemble, split
from backends.batching.job import BatchPolicy, ModelKey
from backends.batching.statistics import Recorder
from backends.runtime import Arrays, Runtime
from protos.datatypes import Array
from protos.errors import Kind, PenstockError
from protos.incident import tell
from protos.values import Signature

log = logging.getLogger(__name__)

Clock = Callable[[], float]


@dataclass(slots=True, eq=False)
class Served:
    """A model on the device; `users` are batches and streams that still need this runtime.

    `ending`: its streams had their time to come to an end, and are ended now.
    """

    key: ModelKey
    runtime: Runtime
    signature: Signature
    policy: BatchPolicy
    recorder: Recorder = field(default_factory=Recorder)
    users: int = 0
    streams: int = 0
    ending: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A batch whose inputs are where the runtime wants them, or why they are not."""

    batch: Batch
    served: Served
    staged: Any
    error: PenstockError | None
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Executed:
    """What the runtime gave: outputs, or an error for all jobs of the batch.

    Clock times: the executing thread turned to the batch at `began` and executed it from `started`
    to `finished`.
    """

    prepared: Prepared
    outputs: Arrays
    error: PenstockError | None
    began: float
    started: float
    finished: float


@dataclass(frozen=True, slots=True, eq=False)
class Apart:
    """The outputs that belong to each of the batch's pieces, or an error for all."""

    parts: list[dict[str, Array]]
    error: PenstockError | None
    seconds: float


def prepare(batch: Batch, served: Served, clock: Clock) -> Prepared:
    """Puts the inputs together and stages them; never raises."""
    began = clock()
    staged = error = None
    try:
        staged = served.runtime.stage(assemble(batch))
    except BaseException as raised:
        error = translated(raised, served.key, len(batch.pieces))
    return Prepared(batch, served, staged, error, clock() - began)


def execute(prepared: Prepared, began: float, clock: Clock) -> Executed:
    """Runs the batch; never raises."""
    started = clock()
    outputs: Arrays = {}
    error = prepared.error
    if error is None:
        try:
            outputs = prepared.served.runtime.execute(prepared.staged)
        except BaseException as raised:
            error = translated(raised, prepared.served.key, len(prepared.batch.pieces))
    return Executed(prepared, outputs, error, began, started, clock())


def take_apart(executed: Executed, clock: Clock) -> Apart:
    """Gives each piece its outputs; never raises."""
    began = clock()
    batch, served = executed.prepared.batch, executed.prepared.served
    parts: list[dict[str, Array]] = []
    error = executed.error
    if error is None:
        try:
            parts = split(executed.outputs, batch, served.signature)
        except BaseException as raised:
            error = translated(raised, served.key, len(batch.pieces))
    return Apart(parts, error, clock() - began)


def translated(raised: BaseException, key: ModelKey, jobs: int) -> PenstockError:
    """What a caller may know of it; the log has the frames, under the id that the caller is told.

    A model's code may raise anything, SystemExit too, and must not end the device's thread.
    """
    if isinstance(raised, PenstockError):
        # A traceback would keep the frames' arrays alive for as long as the answer lives.
        return raised.with_traceback(None)
    name, version = key
    if jobs > 1:
        what = type(raised).__name__
        log.warning("%s %s: a batch of %d jobs failed: %s", name, version, jobs, what)
        return PenstockError(Kind.MODEL_FAILED, "the model failed")
    error_id = secrets.token_hex(4)
    tell(log, name, f"{name} {version} failed, error id {error_id}", raised)
    return PenstockError(Kind.MODEL_FAILED, f"the model failed; error id {error_id}")
