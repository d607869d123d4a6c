"""Replies that come in parts: each active one is advanced by a part in turn."""

from collections.abc import Hashable, Iterator, Mapping
from math import inf

import numpy as np

from backends.batching.execution import Clock, Served, translated
from backends.batching.job import Job, Outcome
from backends.runtime import Arrays
from protos.datatypes import Array
from protos.errors import Kind, PenstockError
from protos.wording import quote


class Stream:
    """One job's reply in parts. `end` is set by others and seen before the next part is asked for.

    The time that a part takes counts as compute; what lies between parts does not.
    """

    def __init__(self, job: Job, served: Served, now: float) -> None:
        self.job = job
        self.served = served
        self.cancelled = False
        self.aborted = False
        self._credit = job.credit
        self._unpaid = 0
        self._queue = now - job.arrival
        self._compute = 0.0
        self._parts: Iterator[Arrays] | None = None

    def add_credit(self, size: int) -> None:
        self._credit += size

    def pay(self) -> None:
        """Takes the last part's size from the credit: apart from `advance`, which holds no lock."""
        self._credit -= self._unpaid
        self._unpaid = 0

    def due(self, now: float) -> bool:
        """Whether there is something to do: a part, or an end."""
        if self.cancelled or self.aborted or self.served.ending or now >= self.job.deadline:
            return True
        # Only who reads the parts as they come grants credit for them.
        return self._credit > 0 or not self.job.streaming

    def advance(self, clock: Clock) -> Outcome | None:
        """One part, or how the stream ended; None if nobody waits for it. Never raises."""
        began = clock()
        if self.cancelled:
            self._close()
            return None
        if self.aborted:
            self._close()
            return self._failed(PenstockError(Kind.UNAVAILABLE, "the backend is stopping"))
        if self.served.ending:
            self._close()
            why = "the model is being unloaded"
            return self._failed(PenstockError(Kind.UNAVAILABLE, why, retry_after=1.0))
        if began >= self.job.deadline:
            self._close()
            return self._failed(PenstockError(Kind.DEADLINE, "the deadline is over"))
        try:
            if self._parts is None:
                self._parts = self.served.runtime.stream(self.job.inputs, self.job.parameters or {})
            part = next(self._parts, None)
            outputs, size = _checked(part) if part is not None else (None, 0)
        except BaseException as raised:
            self._compute += clock() - began
            self._close()
            return self._failed(translated(raised, self.served.key, 1))
        self._compute += clock() - began
        self._unpaid = size
        return self._outcome(outputs, None, final=outputs is None)

    def _failed(self, error: PenstockError) -> Outcome:
        return self._outcome(None, error, final=True)

    def _outcome(
        self, outputs: dict[str, Array] | None, error: PenstockError | None, *, final: bool
    ) -> Outcome:
        rows = self.job.rows
        return Outcome(
            self.job, outputs, error, final, True, self._queue, self._compute, rows, rows
        )

    def _close(self) -> None:
        close = getattr(self._parts, "close", None)
        if close is not None:
            try:
                close()
            except BaseException as raised:
                translated(raised, self.served.key, 1)  # for the log


class Streams:
    """The active streams, by job."""

    def __init__(self) -> None:
        self._active: dict[Hashable, Stream] = {}

    def __len__(self) -> int:
        return len(self._active)

    def add(self, stream: Stream) -> None:
        self._active[stream.job.id] = stream

    def get(self, job_id: Hashable) -> Stream | None:
        return self._active.get(job_id)

    def remove(self, stream: Stream) -> None:
        self._active.pop(stream.job.id, None)

    def abort(self) -> None:
        for stream in self._active.values():
            stream.aborted = True

    def due(self, now: float) -> list[Stream]:
        return [stream for stream in self._active.values() if stream.due(now)]

    def next_deadline(self) -> float:
        return min([stream.job.deadline for stream in self._active.values()], default=inf)


def _checked(part: object) -> tuple[dict[str, Array], int]:
    """The part and its size in bytes; raises BAD_REPLY, since a model's code may yield anything."""
    if not isinstance(part, Mapping):
        raise PenstockError(Kind.BAD_REPLY, "the model gave a part that is no dictionary of arrays")
    outputs: dict[str, Array] = {}
    size = 0
    for name, array in part.items():
        if not isinstance(name, str) or not isinstance(array, np.ndarray):
            raise PenstockError(Kind.BAD_REPLY, f"output {quote(str(name))}: this is no array")
        outputs[name] = array
        if array.dtype.kind != "O":
            size += array.nbytes
            continue
        for element in array.flat:
            if not isinstance(element, bytes | str):
                raise PenstockError(
                    Kind.BAD_REPLY, f"output {quote(name)}: an element is neither bytes nor text"
                )
            size += len(element)
    return outputs, size
