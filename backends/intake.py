"""Where a call enters the backend, whatever carried it: checked, made a job, answered by a sink."""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from itertools import count
from math import inf
from typing import Protocol

from backends.batching.bucket import bucket_of
from backends.batching.device_loop import DeviceLoop
from backends.batching.job import BatchPolicy, Job, ModelKey, Outcome
from backends.validate import check_inputs, check_wanted
from protos import schedule
from protos.errors import Kind, PenstockError, invalid
from protos.exchange_calls import Call
from protos.incident import incident
from protos.values import Signature
from protos.wording import quote

# Gets each outcome of a job with the signature that was in force when the job was taken.
Sink = Callable[[Outcome, Signature], None]


class Entry(Protocol):
    """What the model table says of a READY version."""

    @property
    def key(self) -> ModelKey: ...
    @property
    def signature(self) -> Signature: ...
    @property
    def policy(self) -> BatchPolicy: ...


class Models(Protocol):
    def get(self, model: str, version: str) -> Entry:
        """The READY version, the highest for ""; raises NOT_FOUND or UNAVAILABLE."""
        ...


class _NoModels:
    """Until the life cycle is there; it needs the device loop first."""

    def get(self, model: str, version: str) -> Entry:
        raise PenstockError(Kind.UNAVAILABLE, "this backend is starting", retry_after=1.0)


class Intake:
    """Between the event loop, which carries calls, and the device loop, which executes them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sinks: dict[Hashable, tuple[Sink, Signature]] = {}
        self._suspect: Hashable = None  # the last one that was taken
        self._ids = count(1)
        self.device = DeviceLoop(self._deliver)
        self.models: Models = _NoModels()

    @property
    def in_flight(self) -> int:
        return len(self._sinks)

    def submit(self, call: Call, sink: Sink) -> Job:
        """Queues the call; the sink gets its outcomes on the event loop. Raises the refusal."""
        (taken,) = self.submit_all([(call, sink)])
        if isinstance(taken, PenstockError):
            raise taken
        return taken

    def submit_all(
        self, calls: Iterable[tuple[Call, Sink]], credit: int = 0
    ) -> list[Job | PenstockError]:
        """Queues calls that arrived together: the job or the refusal of each.

        `credit` is how many bytes of streamed parts their callers have room for.
        """
        taken: list[Job | PenstockError] = []
        jobs: list[Job] = []
        for call, sink in calls:
            try:
                if call.suspect and self._suspect in self._sinks:
                    # Whoever waits behind one that kills the backend would be taken for another.
                    raise PenstockError(Kind.OCCUPIED, "another call is tried alone here")
                job, signature = self._job(call, credit)
            except PenstockError as refusal:
                taken.append(refusal)
                continue
            except Exception as raised:
                # One odd call must not take those with it that came in the same frame.
                taken.append(incident(raised, "a call could not be taken"))
                continue
            self._sinks[job.id] = (sink, signature)
            if call.suspect:
                self._suspect = job.id
            taken.append(job)
            jobs.append(job)
        if jobs:
            for job, refused in zip(jobs, self.device.submit_all(jobs), strict=True):
                if refused is not None:
                    del self._sinks[job.id]
                    taken[taken.index(job)] = refused
        return taken

    def _job(self, call: Call, credit: int) -> tuple[Job, Signature]:
        entry = self.models.get(call.model, call.version)
        if call.openai is not None:
            raise invalid(f"model {quote(call.model)} takes tensors", param="model")
        check_inputs(entry.signature, call.inputs, call.datatypes)
        check_wanted(entry.signature, call.wanted)
        bucket, rows = bucket_of(call.inputs, entry.policy)
        now = time.monotonic()
        remaining = call.remaining_us / 1e6 if call.remaining_us else inf
        remaining = min(remaining, schedule.timeout(call.parameters))
        job = Job(
            next(self._ids),
            entry.key,
            call.inputs,
            rows,
            now,
            now + remaining,
            call.priority or schedule.priority(call.parameters) or entry.policy.default_priority,
            call.tenant,
            bucket,
            call.wanted,
            call.parameters,
            call.traceparent,
            call.shadow,
            call.suspect,
            call.streaming,
            credit,
        )
        return job, entry.signature

    def cancel(self, job: Job) -> None:
        """The caller is gone; there will be no further outcome."""
        if self._sinks.pop(job.id, None) is not None:
            self.device.cancel(job.id)

    def _deliver(self, outcomes: list[Outcome]) -> None:
        """Called on the device's thread: one wake-up of the event loop for a whole batch."""
        self._loop.call_soon_threadsafe(self._route, outcomes)

    def _route(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            job_id = outcome.job.id
            found = self._sinks.pop(job_id, None) if outcome.final else self._sinks.get(job_id)
            if found is None:
                continue
            sink, signature = found
            try:
                sink(outcome, signature)
            except Exception as raised:
                self._fail(outcome, incident(raised, "an outcome could not be answered"), *found)

    def _fail(
        self, outcome: Outcome, error: PenstockError, sink: Sink, signature: Signature
    ) -> None:
        """Ends one call with an error; its neighbours' outcomes are still to be routed."""
        self.cancel(outcome.job)
        try:
            sink(replace(outcome, outputs=None, error=error, final=True), signature)
        except Exception as raised:
            incident(raised, "nor could the incident before")
