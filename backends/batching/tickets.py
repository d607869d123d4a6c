"""The jobs that were taken and not answered: one answer each, whatever becomes of their parts."""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from math import inf

from backends.batching.batch import Batch, join
from backends.batching.job import Job, ModelKey, Outcome
from backends.batching.queued import Queued
from backends.batching.waiting import Waiting
from protos.datatypes import Array
from protos.errors import Kind, PenstockError


@dataclass(slots=True, eq=False)
class Ticket:
    """A job that has not been answered: its pieces, and what has come of them so far."""

    job: Job
    pieces: list[Queued] = field(default_factory=list)
    parts: dict[int, dict[str, Array]] | None = None  # of split jobs, by start
    executed: bool = False  # a batch has held some of it
    answered: bool = False
    started: float = inf  # when its first piece began to execute
    compute: float = 0.0


class Tickets:
    """The open jobs of one device, by id."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._open: dict[Hashable, Ticket] = {}
        self._pending: Counter[ModelKey] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, job_id: Hashable) -> bool:
        return job_id in self._open

    def pending(self, key: ModelKey) -> int:
        return self._pending[key]

    def get(self, job_id: Hashable) -> Ticket | None:
        return self._open.get(job_id)

    def not_begun(self, key: ModelKey) -> list[Ticket]:
        """The model's jobs of which nothing was executed."""
        return [t for t in self._open.values() if t.job.model == key and not t.executed]

    def open(self, job: Job) -> Ticket:
        ticket = self._open[job.id] = Ticket(job)
        self._pending[job.model] += 1
        return ticket

    def close(self, ticket: Ticket) -> None:
        """The job is answered, or nobody waits for it any more."""
        ticket.answered = True
        del self._open[ticket.job.id]
        self._pending[ticket.job.model] -= 1
        for piece in ticket.pieces:
            if piece.order[2] is not None:
                self._waiting.remove(piece)
        ticket.pieces = []  # they know the ticket: a cycle would keep the inputs until collected

    def late(self, ticket: Ticket, now: float) -> Outcome:
        """Closes the ticket because of the job's deadline."""
        self.close(ticket)
        error = PenstockError(Kind.DEADLINE, "the deadline is over, or too near to be met")
        return Outcome(ticket.job, None, error, True, ticket.executed, now - ticket.job.arrival)

    def done(
        self,
        piece: Queued,
        batch: Batch,
        part: dict[str, Array],
        started: float,
        compute: float,
    ) -> Outcome | None:
        """The piece was executed; None while others of a split job are missing."""
        ticket = piece.ticket
        if ticket.parts is None:
            return self._answer(ticket, batch, started, compute, part, None)
        ticket.parts[piece.start] = part
        ticket.started = min(ticket.started, started)
        ticket.compute += compute
        if len(ticket.parts) < len(ticket.pieces):
            return None
        outputs: dict[str, Array] | None = None
        error: PenstockError | None = None
        try:
            outputs = join([ticket.parts[each.start] for each in ticket.pieces])
        except PenstockError as raised:
            error = raised
        return self._answer(ticket, batch, ticket.started, ticket.compute, outputs, error)

    def failed(
        self, ticket: Ticket, batch: Batch, error: PenstockError, started: float, compute: float
    ) -> Outcome:
        return self._answer(ticket, batch, started, compute, None, error)

    def _answer(
        self,
        ticket: Ticket,
        batch: Batch,
        started: float,
        compute: float,
        outputs: dict[str, Array] | None,
        error: PenstockError | None,
    ) -> Outcome:
        self.close(ticket)
        job = ticket.job
        queue = started - job.arrival
        return Outcome(
            job, outputs, error, True, True, queue, compute, batch.rows, batch.padded_rows
        )
