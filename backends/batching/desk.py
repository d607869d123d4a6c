"""The work of one device under one lock: where those who bring it and those who do it meet.

Nothing polls: each of the two threads sleeps on a condition of its own, until it is notified or
until the time at which something falls due.
"""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import inf

from backends.batching.batch import Batch
from backends.batching.execution import Apart, Clock, Executed, Prepared, Served
from backends.batching.job import BatchPolicy, Job, ModelKey, Outcome
from backends.batching.scheduler import Scheduler
from backends.batching.statistics import ModelStatistics, Times
from backends.batching.streams import Stream, Streams
from backends.runtime import Runtime
from protos.errors import Kind, PenstockError, unknown_model
from protos.incident import incident
from protos.values import Signature

NO_TIMES = Times(0.0, 0.0, 0.0)
LONGEST_WAIT = 3600.0  # seconds; what an operating system's timeouts surely take
# A batch is staged so long before the device gets free, and three times as long as preparing one
# takes: whoever comes until then, and whose turn it is, is still in it.
STAGE_BEFORE = 0.002  # seconds; a thread may wake up late
FRESHNESS = 0.1  # the weight of the newest in the mean of what preparing takes


@dataclass(frozen=True, slots=True)
class Turn:
    """What a thread does next, in this order: late jobs are answered first."""

    dropped: Sequence[Outcome] = ()
    streams: Sequence[Stream] = ()
    call: Callable[[], None] | None = None
    batch: tuple[Batch, Served] | None = None
    prepared: Prepared | None = None
    finished: Executed | None = None


class Desk:
    """Queue, models and streams of one device. All methods may be called from any thread."""

    def __init__(self, scheduler: Scheduler, clock: Clock) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._served: dict[ModelKey, Served] = {}
        self._leaving: set[ModelKey] = set()  # served to the end, but take no more jobs
        self._replaced: list[Served] = []  # by others, but still in use
        self._streams = Streams()
        self._calls: deque[Callable[[], None]] = deque()
        self._staging = False
        self._staged: Prepared | None = None
        self._finished: Executed | None = None
        self._stager_wakes = inf
        self._preparing = 0.0  # seconds that it takes, mean
        self._busy = False
        self._stopping = False
        self._ended = False
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # for the executing thread
        self._ahead = threading.Condition(self._lock)  # for the staging thread
        self._free = threading.Condition(self._lock)  # for those who wait until a model is unused

    def add_model(
        self, key: ModelKey, runtime: Runtime, signature: Signature, policy: BatchPolicy
    ) -> None:
        with self._lock:
            old = self._served.get(key)
            served = self._served[key] = Served(key, runtime, signature, policy)
            if old is not None:
                served.recorder = old.recorder
                if old.users:
                    self._replaced.append(old)
            self._leaving.discard(key)
            self._scheduler.add_model(key, policy)

    def close_model(self, key: ModelKey) -> None:
        """The model takes no more jobs; those it has are executed."""
        with self._lock:
            if key in self._served:
                self._leaving.add(key)

    def withdraw(self, key: ModelKey) -> list[Job]:
        """Takes out the closed model's jobs that were not begun."""
        with self._lock:
            return self._scheduler.withdraw(key)

    def remove_model(self, key: ModelKey, limit: float) -> None:
        """Waits until the closed model has no work left, and forgets it.

        Streams that are still there after `limit` seconds are ended: they may last for ever.
        """
        with self._lock:
            until = self._clock() + limit
            while key in self._leaving and self._in_use(key):
                self._wait_until(until, [self._served[key]])
            if key in self._leaving:
                self._leaving.discard(key)
                del self._served[key]
                self._scheduler.remove_model(key)

    def release(self, runtime: Runtime, limit: float) -> None:
        """Waits until the runtime, which was replaced, is not used any more; `limit` likewise."""
        with self._lock:
            until = self._clock() + limit
            while olds := [old for old in self._replaced if old.runtime is runtime]:
                self._wait_until(until, olds)

    def _wait_until(self, until: float, leaving: Sequence[Served]) -> None:
        remaining = until - self._clock()
        if remaining > 0:
            self._free.wait(_timeout(remaining))
            return
        for served in leaving:
            served.ending = True
        self._work.notify()
        self._free.wait()

    def submit(self, jobs: Sequence[Job]) -> list[PenstockError | None]:
        """Queues jobs that came together; each one's refusal, or None. One wake-up for all."""
        with self._lock:
            before = self._scheduler.batch_waits
            refusals = [self._add(job) for job in jobs]
            if not self._busy:
                self._work.notify()
            elif min(job.deadline for job in jobs) < self._stager_wakes or (
                self._scheduler.batch_waits and not before
            ):
                self._ahead.notify()
            return refusals

    def _add(self, job: Job) -> PenstockError | None:
        served = self._served.get(job.model)
        if self._stopping or served is None or job.model in self._leaving:
            return PenstockError(
                Kind.UNAVAILABLE, "the model is not served here now", retry_after=1.0
            )
        if served.streams and served.streams >= served.policy.max_queue_rows:
            return PenstockError(
                Kind.OVERLOADED, "the model has as many streams as it may", retry_after=1.0
            )
        try:
            self._scheduler.add(job, self._clock())
        except PenstockError as refusal:
            return refusal
        except Exception as raised:
            return incident(raised, "a job could not be queued")
        return None

    def cancel(self, job_id: Hashable) -> None:
        with self._lock:
            stream = self._streams.get(job_id)
            if stream is not None:
                stream.cancelled = True
                self._work.notify()
            elif self._scheduler.cancel(job_id) is not None:
                self._free.notify_all()

    def add_credit(self, job_id: Hashable, size: int) -> None:
        with self._lock:
            stream = self._streams.get(job_id)
            if stream is not None:
                stream.add_credit(size)
                self._work.notify()

    def call(self, run: Callable[[], None]) -> bool:
        """Whether `run` will be run by the executing thread, when nothing is staged."""
        with self._lock:
            if self._ended:
                return False
            self._calls.append(run)
            self._work.notify()
            return True

    def stop(self) -> None:
        """Refuses new jobs; the threads end when nothing is left to do."""
        with self._lock:
            self._stopping = True
            self._work.notify()

    def abort(self) -> list[Job]:
        """Takes out all jobs that were not begun, and ends the streams."""
        with self._lock:
            self._streams.abort()
            self._work.notify()
            self._free.notify_all()
            return [job for key in self._served for job in self._scheduler.withdraw(key)]

    def next_turn(self) -> Turn | None:
        """For the executing thread: waits for work; None at the end."""
        with self._lock:
            while True:
                now = self._clock()
                turn, until = self._decide(now)
                if turn is not None:
                    self._busy = True
                    if self._wants_stager():
                        self._ahead.notify()
                    return turn
                self._busy = False
                if self._stopping and not (self._scheduler.jobs or self._streams or self._staging):
                    self._ended = True
                    self._ahead.notify()
                    return None
                until = min(until, self._scheduler.next_expiry(), self._streams.next_deadline())
                self._work.wait(_timeout(until - now))

    def _decide(self, now: float) -> tuple[Turn | None, float]:
        """The next turn, or when to look again."""
        if self._staged is not None:
            prepared, self._staged = self._staged, None
            return self._take_staged(prepared, now), inf
        if self._staging:
            dropped, streams = self._scheduler.expire(now), self._streams.due(now)
            self._record(dropped, now)
            return (Turn(dropped, streams) if dropped or streams else None), inf
        if self._calls:
            return Turn((), self._streams.due(now), self._calls.popleft()), inf
        decision = self._scheduler.next_batch(now)
        self._record(decision.dropped, now)
        batch = self._begin(decision.batch, now)
        streams = self._streams.due(now)
        if batch is None and not streams and not decision.dropped:
            return None, decision.until
        return Turn(decision.dropped, streams, None, batch), inf

    def _take_staged(self, prepared: Prepared, now: float) -> Turn:
        """The batch's jobs may have become late since it was staged, and must not execute then."""
        decision = self._scheduler.begin(prepared.batch, now)
        streams = self._streams.due(now)
        if decision.batch is prepared.batch:
            return Turn((), streams, None, None, prepared)
        self._record(decision.dropped, now)
        if decision.batch is None:
            self._leave(prepared.served)
            return Turn(decision.dropped, streams)
        return Turn(decision.dropped, streams, None, (decision.batch, prepared.served))

    def _wants_stager(self) -> bool:
        return self._scheduler.batch_waits or self._scheduler.next_expiry() < self._stager_wakes

    def next_ahead(self) -> Turn | None:
        """For the staging thread: a batch to finish or prepare, or late jobs; None at the end."""
        with self._lock:
            while True:
                now = self._clock()
                if self._finished is not None:
                    finished, self._finished = self._finished, None
                    return Turn(finished=finished)
                if self._ended:
                    return None
                stage_at = self._scheduler.free_at - STAGE_BEFORE - 3.0 * self._preparing
                may_stage = self._busy and self._staged is None and not self._calls
                if may_stage and now >= stage_at:
                    decision = self._scheduler.next_batch(now, ahead=True)
                    dropped = decision.dropped
                    batch = self._begin(decision.batch, now)
                    self._staging = batch is not None
                else:
                    dropped, batch = self._scheduler.expire(now), None
                self._record(dropped, now)
                if dropped or batch is not None:
                    return Turn(dropped, (), None, batch)
                self._stager_wakes = self._scheduler.next_expiry()
                until = self._stager_wakes
                if may_stage and stage_at > now and self._scheduler.batch_waits:
                    until = min(until, stage_at)
                self._ahead.wait(_timeout(until - now))

    def put_staged(self, prepared: Prepared) -> None:
        with self._lock:
            self._staging = False
            self._staged = prepared
            if not self._busy:
                self._work.notify()

    def hand_back(self, executed: Executed) -> bool:
        """Has the staging thread finish the batch if the next one is staged; else nothing.

        So the device goes on at once. Without a staged batch the executing thread is quicker.
        """
        with self._lock:
            if self._staged is None or self._finished is not None:
                return False
            self._finished = executed
            self._ahead.notify()
            return True

    def settle(self, executed: Executed, apart: Apart, occupied: float) -> list[Outcome]:
        """The outcomes that an executed batch brings; a failed one may bring none yet."""
        batch, served = executed.prepared.batch, executed.prepared.served
        times = Times(
            executed.prepared.seconds, executed.finished - executed.started, apart.seconds
        )
        with self._lock:
            self._preparing += FRESHNESS * (executed.prepared.seconds - self._preparing)
            started, finished = executed.started, executed.finished
            if apart.error is None:
                outcomes = self._scheduler.settle(batch, apart.parts, started, finished, occupied)
                served.recorder.executed(batch, times)
            else:
                outcomes = self._scheduler.fail(batch, apart.error, started, finished)
            served.recorder.answered(outcomes, self._clock(), times)
            self._leave(served)
            if not self._busy:
                # Settling may free what waited for it: halves of a failed batch, the next suspect.
                self._work.notify()
            return outcomes

    def advanced(self, stream: Stream, outcome: Outcome | None) -> None:
        """A stream gave a part, or (None, or a final outcome) came to its end."""
        served = stream.served
        with self._lock:
            stream.pay()
            if outcome is not None and not outcome.final:
                return
            self._streams.remove(stream)
            if outcome is not None:
                if outcome.error is None:
                    served.recorder.streamed(stream.job.rows)
                served.recorder.answered([outcome], self._clock(), NO_TIMES)
            served.streams -= 1
            self._leave(served)

    def load(self) -> tuple[float, int]:
        """Predicted seconds of work, and how many jobs have not been answered."""
        with self._lock:
            return self._scheduler.work(self._clock()), self._scheduler.jobs + len(self._streams)

    def statistics(self, key: ModelKey) -> ModelStatistics:
        with self._lock:
            served = self._served.get(key)
            if served is None:
                raise unknown_model(key[0])
            return served.recorder.snapshot()

    def all_statistics(self) -> dict[ModelKey, ModelStatistics]:
        """Of every model that is served."""
        with self._lock:
            return {key: served.recorder.snapshot() for key, served in self._served.items()}

    def _begin(self, batch: Batch | None, now: float) -> tuple[Batch, Served] | None:
        """Makes the batch its model's; those of a decoupled model become streams instead."""
        if batch is None:
            return None
        served = self._served[batch.key]
        served.recorder.dispatched(batch)
        if not served.signature.decoupled:
            served.users += 1
            return batch, served
        for job in self._scheduler.hand_over(batch, now):
            self._streams.add(Stream(job, served, now))
            served.streams += 1
            served.users += 1
        return None

    def _leave(self, served: Served) -> None:
        served.users -= 1
        if not served.users and served in self._replaced:
            self._replaced.remove(served)
        if self._leaving or self._replaced or not served.users:
            self._free.notify_all()

    def _in_use(self, key: ModelKey) -> bool:
        return self._scheduler.pending(key) > 0 or self._served[key].users > 0

    def _record(self, dropped: Sequence[Outcome], now: float) -> None:
        for outcome in dropped:
            self._served[outcome.job.model].recorder.answered([outcome], now, NO_TIMES)
        if dropped:
            self._free.notify_all()


def _timeout(seconds: float) -> float | None:
    return None if seconds == inf else min(max(seconds, 0.0), LONGEST_WAIT)
