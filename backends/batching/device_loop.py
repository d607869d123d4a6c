"""The threads that keep one device busy: one executes, the other prepares and finishes batches.

A batch is staged ahead only when it can't grow any more, and only just before the device gets free,
so that who is due until then is still in it; any other is closed at the moment the device gets
free, so that batches grow for free while it is busy. An idle device's batch is put together by the
executing thread itself: handing it over would cost more than it gains.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TypeVar

from backends.batching.cost import CostTable
from backends.batching.desk import Desk, Turn
from backends.batching.execution import Clock, Executed, Served, execute, prepare, take_apart
from backends.batching.job import BatchPolicy, Job, LoadReport, ModelKey, Outcome
from backends.batching.scheduler import Scheduler
from backends.batching.statistics import ModelStatistics
from backends.batching.streams import Stream
from backends.runtime import Runtime
from protos.errors import Kind, PenstockError
from protos.incident import frames_of
from protos.values import Signature

T = TypeVar("T")

# Capturing and compiling may take minutes; a call beyond this is not coming back.
CALL_STALLS_AFTER = 300.0
# Who reads a stream slowly must not keep a model, and all that waits behind it, from unloading.
DRAIN_LIMIT = 30.0  # seconds

log = logging.getLogger(__name__)

# Told of each batch that was executed, before its jobs are answered, and of its failure.
OnBatch = Callable[[Executed, PenstockError | None], None]


@dataclass(frozen=True, slots=True)
class Activity:
    """What a thread is at, since when, and after how many seconds of it the device is wedged."""

    what: str
    since: float
    limit: float
    model: ModelKey | None = None


class DeviceLoop:
    """Executes the jobs of all models on one device.

    `deliver` gets the outcomes of a batch together, on one of the loop's two threads; it must not
    block. `weights` are tenants' shares of the device, 1 for those not named.
    """

    def __init__(
        self,
        deliver: Callable[[list[Outcome]], None],
        clock: Clock = time.monotonic,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.cost = CostTable()
        self.on_batch: OnBatch | None = None
        self._deliver_to = deliver
        self._clock = clock
        self._desk = Desk(Scheduler(self.cost, weights), clock)
        self._progress = 0
        self._executing: Activity | None = None
        self._staging: Activity | None = None
        self._executor = self._thread("device", self._execute_all)
        self._stager = self._thread("staging", self._stage_all)
        self._ended: str | None = None

    def start(self) -> None:
        self._executor.start()
        self._stager.start()

    def stop(self, drain: bool, timeout: float) -> bool:
        """Refuses new jobs and ends; with `drain` all jobs are finished, else only those begun.

        Jobs that were not begun, also those left by `timeout` seconds of draining, are answered
        UNAVAILABLE, not executed; streams end with that, too, but executed. Returns whether the
        threads have ended: one that hangs in a model's code can't be helped.
        """
        until = time.monotonic() + timeout
        self._desk.stop()
        if drain:
            self._executor.join(timeout)
        self._refuse(self._desk.abort(), "the backend is stopping")
        for thread in (self._executor, self._stager):
            thread.join(max(until - time.monotonic(), 0.1))
        return not (self._executor.is_alive() or self._stager.is_alive())

    def add_model(
        self, key: ModelKey, runtime: Runtime, signature: Signature, policy: BatchPolicy
    ) -> None:
        """Serves the model from now on, in place of the one that has the key if there is one.

        What is queued goes to the new runtime then, so its signature must be the same; what has
        begun ends on the old one, which must live until `release` returns.
        """
        if signature.decoupled:
            # Streams advance in turns, each by itself: there is no batch for them to share.
            policy = replace(policy, max_rows=0, sizes=())
        self._desk.add_model(key, runtime, signature, policy)

    def remove_model(
        self, key: ModelKey, *, drain: bool = True, limit: float = DRAIN_LIMIT
    ) -> None:
        """Takes no more jobs for the model, and returns when none of its work is left.

        Without `drain`, jobs that were not begun are answered UNAVAILABLE, not executed. Streams
        that last longer than `limit` seconds are ended with UNAVAILABLE. Blocks, so it must be
        called neither on an event loop nor (RuntimeError) on the device's own thread.
        """
        self._forbid_own_thread()
        self._desk.close_model(key)
        if not drain:
            self._refuse(self._desk.withdraw(key), "the model is being unloaded")
        self._desk.remove_model(key, limit)

    def release(self, runtime: Runtime, *, limit: float = DRAIN_LIMIT) -> None:
        """Returns when nothing uses a runtime that `add_model` replaced. Blocks, likewise."""
        self._forbid_own_thread()
        self._desk.release(runtime, limit)

    def submit(self, job: Job) -> None:
        """Queues the job; its outcomes are delivered. Raises the refusal (see `Scheduler.add`)."""
        (refusal,) = self._desk.submit((job,))
        if refusal is not None:
            raise refusal

    def submit_all(self, jobs: Sequence[Job]) -> list[PenstockError | None]:
        """Queues jobs that arrived together, so that they can share a batch; their refusals."""
        return self._desk.submit(jobs)

    def cancel(self, job_id: Hashable) -> None:
        """Nobody waits for the job any more: there will be no further outcome."""
        self._desk.cancel(job_id)

    def add_credit(self, job_id: Hashable, size: int) -> None:
        """The reader of a stream has room for `size` more bytes; nothing happens if it is over."""
        self._desk.add_credit(job_id, size)

    def call(self, fn: Callable[[], T]) -> "Future[T]":
        """Runs `fn` on the device's thread between two batches, when nothing is staged."""
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn())
                except BaseException as error:
                    future.set_exception(error)

        if not self._desk.call(run):
            future.set_exception(PenstockError(Kind.UNAVAILABLE, "the backend has stopped"))
        return future

    def report(self) -> LoadReport:
        work, jobs = self._desk.load()
        p50, p99 = self.cost.quantiles()
        activity = self._executing
        since = activity.since if activity is not None else None
        return LoadReport(work, jobs, p50, p99, self._progress, since)

    def statistics(self, key: ModelKey) -> ModelStatistics:
        """Raises NOT_FOUND for a model that is not served."""
        return self._desk.statistics(key)

    def all_statistics(self) -> dict[ModelKey, ModelStatistics]:
        """Of every model that is served."""
        return self._desk.all_statistics()

    def stalled(self, now: float) -> str | None:
        """Why the device counts as wedged; None while it makes progress or has nothing to do."""
        for activity in (self._executing, self._staging):
            if activity is not None and now - activity.since > activity.limit:
                whose = " ".join(activity.model or ("the device",))
                return f"{whose} has been {activity.what} for {now - activity.since:.1f} s"
        return self._ended

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as raised:
                log.critical("the %s thread failed: %s", name, frames_of(raised))
            finally:
                # One without the other makes no progress either.
                self._ended = self._ended or f"the {name} thread has ended"

        return threading.Thread(target=run, name=name, daemon=True)

    def _execute_all(self) -> None:
        while (turn := self._desk.next_turn()) is not None:
            self._deliver(turn.dropped)
            for stream in turn.streams:
                self._advance(stream)
            if turn.call is not None:
                self._call(turn.call)
            if turn.batch is not None or turn.prepared is not None:
                self._run(turn)
            self._executing = None

    def _stage_all(self) -> None:
        while (turn := self._desk.next_ahead()) is not None:
            self._deliver(turn.dropped)
            if turn.finished is not None:
                self._finish(turn.finished)
            if turn.batch is not None:
                batch, served = turn.batch
                self._staging = self._activity(served, "staging a batch")
                self._desk.put_staged(prepare(batch, served, self._clock))
                self._staging = None

    def _run(self, turn: Turn) -> None:
        began = self._clock()
        if turn.prepared is not None:
            self._executing = self._activity(turn.prepared.served, "executing a batch")
            prepared = turn.prepared
        elif turn.batch is not None:
            self._executing = self._activity(turn.batch[1], "executing a batch")
            prepared = prepare(*turn.batch, self._clock)
        executed = execute(prepared, began, self._clock)
        self._progress += 1
        if not self._desk.hand_back(executed):
            apart = take_apart(executed, self._clock)
            outcomes = self._desk.settle(executed, apart, self._clock() - began)
            self._tell(executed, apart.error)
            self._deliver(outcomes)

    def _finish(self, executed: Executed) -> None:
        apart = take_apart(executed, self._clock)
        outcomes = self._desk.settle(executed, apart, executed.finished - executed.began)
        self._tell(executed, apart.error)
        self._deliver(outcomes)

    def _tell(self, executed: Executed, error: PenstockError | None) -> None:
        if self.on_batch is not None:
            try:
                self.on_batch(executed, error)
            except Exception as raised:
                log.error("a batch could not be traced: %s", frames_of(raised))

    def _advance(self, stream: Stream) -> None:
        self._executing = self._activity(stream.served, "executing a part of a stream")
        outcome = stream.advance(self._clock)
        self._desk.advanced(stream, outcome)
        self._progress += 1
        if outcome is not None:
            self._deliver([outcome])

    def _call(self, call: Callable[[], None]) -> None:
        self._executing = Activity("loading or unloading", self._clock(), CALL_STALLS_AFTER)
        call()
        self._progress += 1

    def _activity(self, served: Served, what: str) -> Activity:
        return Activity(what, self._clock(), served.policy.stall_after, served.key)

    def _deliver(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            try:
                self._deliver_to(list(outcomes))
            except Exception as raised:
                # Whoever waited is lost, but the device must serve the others.
                number, why = len(outcomes), frames_of(raised)
                log.error("%d outcomes could not be delivered: %s", number, why)

    def _refuse(self, jobs: Sequence[Job], why: str) -> None:
        now = self._clock()
        error = PenstockError(Kind.UNAVAILABLE, why, retry_after=1.0)
        self._deliver(
            [Outcome(job, None, error, True, False, max(now - job.arrival, 0.0)) for job in jobs]
        )

    def _forbid_own_thread(self) -> None:
        if threading.current_thread() is self._executor:
            raise RuntimeError("the device's thread would wait for itself")
