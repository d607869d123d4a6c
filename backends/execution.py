"""One batch through one runtime, in two steps that may run on different threads."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backends.batch import Batch, assemble, split
from backends.job import BatchPolicy, ModelKey
from backends.runtime import Runtime
from backends.statistics import Recorder, Times
from protos.datatypes import Array
from protos.errors import Kind, PenstockError
from protos.values import Signature

log = logging.getLogger(__name__)

Clock = Callable[[], float]


@dataclass(slots=True, eq=False)
class Served:
    """A model on the device; `users` are batches and streams that still need this runtime."""

    key: ModelKey
    runtime: Runtime
    signature: Signature
    policy: BatchPolicy
    recorder: Recorder = field(default_factory=Recorder)
    users: int = 0
    streams: int = 0


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
    """What the batch gave: its pieces' outputs, or an error for all. `started` is clock time."""

    parts: list[dict[str, Array]]
    error: PenstockError | None
    started: float
    times: Times


def prepare(batch: Batch, served: Served, clock: Clock) -> Prepared:
    """Puts the inputs together and stages them; never raises."""
    began = clock()
    staged = error = None
    try:
        staged = served.runtime.stage(assemble(batch))
    except BaseException as raised:
        error = translated(raised, served.key, len(batch.pieces))
    return Prepared(batch, served, staged, error, clock() - began)


def execute(prepared: Prepared, clock: Clock) -> Executed:
    """Runs the batch and takes its outputs apart; never raises."""
    batch, served = prepared.batch, prepared.served
    started = finished = clock()
    parts: list[dict[str, Array]] = []
    error = prepared.error
    if error is None:
        try:
            outputs = served.runtime.execute(prepared.staged)
            finished = clock()
            parts = split(outputs, batch, served.signature)
        except BaseException as raised:
            error = translated(raised, served.key, len(batch.pieces))
    times = Times(prepared.seconds, finished - started, clock() - finished)
    return Executed(parts, error, started, times)


def translated(raised: BaseException, key: ModelKey, jobs: int) -> PenstockError:
    """What a caller may know of it; the log has the rest, under the id that the caller is told.

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
    log.error("%s %s failed, error id %s", name, version, error_id, exc_info=raised)
    return PenstockError(Kind.MODEL_FAILED, f"the model failed; error id {error_id}")
