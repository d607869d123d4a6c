"""Decides what one device executes next: plain, synchronous, the time is an argument.

A job waits in the lane of its model and bucket until a batch takes it. Whose turn it is: tenants
that have used less of the device, then urgency (deadline, priority and age in one number); suspects
in batches of their own, one at a time; shadow jobs when nobody else waits. When a batch leaves: at
once where the device keeps up without batching, otherwise when it is full, when waiting would miss
a deadline, when nothing more comes, or at the policy's delay.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import inf

from backends.batching.admission import check_room, check_time
from backends.batching.backlog import Demand
from backends.batching.batch import Batch, Reason
from backends.batching.bucket import next_size
from backends.batching.cost import CostTable
from backends.batching.job import BatchPolicy, Job, ModelKey, Outcome
from backends.batching.lanes import Lane, Model
from backends.batching.queued import Queued, urgency
from backends.batching.tickets import Tickets
from backends.batching.trials import Retries, Trial
from backends.batching.waiting import Waiting
from protos.datatypes import Array
from protos.errors import Kind, PenstockError, invalid

# Demand (device seconds a second, without batching) up to which nobody waits for company. Above 1
# because a single caller who waits for each answer comes close to 1 with any slow model.
KEEPS_UP = 1.1


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now: execute `batch`; without one, look again at `until` (inf: when woken).

    `dropped` are answers to jobs that were too late to execute.
    """

    batch: Batch | None
    until: float
    dropped: list[Outcome]


class Scheduler:
    """The queue of one device, over all its models. `weights` are tenants' shares, 1 if not named.

    Not thread-safe; the device loop calls it under its lock.
    """

    def __init__(
        self, cost: CostTable | None = None, weights: Mapping[str, float] | None = None
    ) -> None:
        self.cost = cost if cost is not None else CostTable()
        self._models: dict[ModelKey, Model] = {}
        self._waiting = Waiting(weights)
        self._tickets = Tickets(self._waiting)
        self._numbers = count()
        self._demand = Demand()
        self._outstanding: dict[Batch, Trial | None] = {}
        self._suspect: Batch | None = None
        self._retries = Retries()
        self._free_at = 0.0

    def work(self, now: float) -> float:
        """Predicted seconds until the device has done all that it has."""
        return self._busy(now) + self._waiting.backlog.total

    @property
    def free_at(self) -> float:
        """When the device will have finished what it has begun, as predicted."""
        return self._free_at

    @property
    def batch_waits(self) -> bool:
        """Whether somewhere a batch is ready that can't grow any more."""
        return self._waiting.full_lane() is not None

    @property
    def jobs(self) -> int:
        """How many jobs have not been answered."""
        return len(self._tickets)

    def pending(self, key: ModelKey) -> int:
        """How many of the model's jobs have not been answered."""
        return self._tickets.pending(key)

    def next_expiry(self) -> float:
        """When the next waiting job's deadline is over; `expire` should be called then."""
        return self._waiting.next_expiry()

    def add_model(self, key: ModelKey, policy: BatchPolicy) -> None:
        """Takes jobs for the model from now on; a new policy holds for jobs that come later."""
        model = self._models.get(key)
        if model is None:
            self._models[key] = Model(key, policy)
        else:
            model.policy = policy
            self._waiting.close_lanes(key)

    def remove_model(self, key: ModelKey) -> list[Job]:
        """Takes no more jobs; hands back those that wait, the executing ones are still answered."""
        waiting = self.withdraw(key)
        del self._models[key]
        self._waiting.close_lanes(key)
        return waiting

    def withdraw(self, key: ModelKey) -> list[Job]:
        """Takes out the model's jobs of which nothing was executed."""
        waiting = self._tickets.not_begun(key)
        for ticket in waiting:
            self._tickets.close(ticket)
        return [ticket.job for ticket in waiting]

    def add(self, job: Job, now: float) -> None:
        """Queues the job.

        Raises OVERLOADED with `retry_after` if the queue is full or the job would not be done by
        its deadline, DEADLINE if that is over, TOO_LARGE if it can never fit into the queue.
        """
        model = self._models.get(job.model)
        if model is None:
            raise PenstockError(Kind.UNAVAILABLE, "the model is not served here", retry_after=1.0)
        if job.id in self._tickets:
            raise ValueError(f"a job {job.id!r} is here already")
        if job.priority < 1:
            raise invalid(f"priority: {job.priority} is less than 1, the highest")
        if job.deadline <= now:
            raise PenstockError(Kind.DEADLINE, "the deadline was over on arrival")
        lane = self._waiting.lane(job, model, self.cost)
        account = self._waiting.account(job)
        key = urgency(job, model.policy.priority_levels)
        try:
            check_room(job, lane, self.work(now))
            # An idle device takes anything: a prediction too high would never be mended otherwise.
            if self._outstanding or self._waiting.pieces:
                total = self._waiting.backlog.total
                ahead = partial(self._waiting.ahead, job, account, key)
                check_time(job, lane, now, self._busy(now), total, ahead)
        except PenstockError:
            self._waiting.release(account)
            raise

        ticket = self._tickets.open(job)
        most = lane.policy.max_rows or job.rows
        if job.rows > most:
            ticket.parts = {}
        for start in range(0, job.rows, most):
            rows = min(most, job.rows - start)
            work = lane.row_cost * (rows if lane.policy.max_rows else 1)
            piece = Queued(ticket, start, rows, key, next(self._numbers), lane, account, work)
            ticket.pieces.append(piece)
            self._waiting.push(piece, now)
        self._demand.add(lane.single_cost + lane.row_cost * (job.rows - 1), now)

    def cancel(self, job_id: Hashable) -> Job | None:
        """Forgets the job: what waits of it is taken out, what executes is dropped on settling.

        None if there is no such job (any more).
        """
        ticket = self._tickets.get(job_id)
        if ticket is None:
            return None
        self._tickets.close(ticket)
        return ticket.job

    def expire(self, now: float) -> list[Outcome]:
        """Takes out the jobs whose deadline is over."""
        dropped = []
        while (piece := self._waiting.expired(now)) is not None:
            dropped.append(self._tickets.late(piece.ticket, now))
        return dropped

    def next_batch(self, now: float, *, ahead: bool = False) -> Decision:
        """What to execute now; `ahead`: the device is busy, so only what can't grow any more."""
        dropped = self.expire(now)
        if self._retries:
            batch = None if ahead else self._again(now, dropped)
            if batch is not None or ahead:
                return Decision(batch, inf, dropped)
        while True:
            lane = self._waiting.leader(suspects=not ahead and self._suspect is None)
            if lane is None:
                return Decision(None, inf, dropped)
            leave = lane.leave(now, self._demand.rate(now) <= KEEPS_UP)
            if ahead and not lane.full:
                return Decision(None, inf, dropped)
            if not isinstance(leave, Reason):
                other = self._waiting.full_lane()
                if other is None:
                    return Decision(None, leave, dropped)
                lane, leave = other, Reason.FULL
            pieces = self._take(lane, now, dropped)
            if pieces:
                return Decision(self._form(pieces, leave, now), inf, dropped)

    def begin(self, batch: Batch, now: float) -> Decision:
        """What is left to execute of a batch that was taken ahead, now that its turn has come.

        The batch itself if nobody in it is late; otherwise another one with the rest, or none. One
        that nobody waits for any more is dropped; a few who went away don't stop the others.
        """
        pieces = batch.pieces
        in_time = all(piece.job.deadline > now for piece in pieces)
        if in_time and not all(piece.ticket.answered for piece in pieces):
            return Decision(batch, inf, [])
        self._settled(batch, now)
        for piece in pieces:
            # Of a split job another piece may have begun.
            piece.ticket.executed = piece.ticket.parts is not None
        dropped: list[Outcome] = []
        left = self._in_time(pieces, now, dropped)
        return Decision(self._form(left, batch.reason, now) if left else None, inf, dropped)

    def settle(
        self,
        batch: Batch,
        parts: Sequence[dict[str, Array]],
        started: float,
        finished: float,
        occupied: float,
    ) -> list[Outcome]:
        """The batch executed from `started` to `finished`; `parts` belong to its pieces.

        `occupied`: seconds for which the device could do nothing else. Returns the outcomes of the
        jobs that this completes.
        """
        trial = self._settled(batch, finished)
        if trial is not None:
            trial.succeeded += 1
        self.cost.observe(batch.key, batch.bucket, batch.padded_rows, occupied)
        self.cost.executed(occupied)
        self._waiting.took(occupied)
        batch.pieces[0].lane.learn(self.cost)
        compute = finished - started
        outcomes: list[Outcome] = []
        for piece, part in zip(batch.pieces, parts, strict=True):
            if not piece.ticket.answered:
                outcome = self._tickets.done(piece, batch, part, started, compute)
                if outcome is not None:
                    outcomes.append(outcome)
        return outcomes

    def hand_over(self, batch: Batch, now: float) -> list[Job]:
        """The batch's jobs, for the caller to see to: a stream outlives its turn in the queue."""
        self._settled(batch, now)
        tickets = [piece.ticket for piece in batch.pieces if not piece.ticket.answered]
        for ticket in tickets:
            self._tickets.close(ticket)
        return [ticket.job for ticket in tickets]

    def fail(
        self, batch: Batch, error: PenstockError, started: float, finished: float
    ) -> list[Outcome]:
        """The batch failed: it is taken apart, unless it was a single job or its reply was wrong.

        Returns the outcomes of the jobs for which nothing more can be done.
        """
        trial = self._settled(batch, finished) or Trial()
        compute = finished - started
        return [
            self._tickets.failed(piece.ticket, batch, error, started, compute)
            for piece in self._retries.failed(batch.pieces, trial, error)
            if not piece.ticket.answered
        ]

    def _busy(self, now: float) -> float:
        return max(self._free_at - now, 0.0)

    def _take(self, lane: Lane, now: float, dropped: list[Outcome]) -> list[Queued]:
        taken, late = lane.take(now + self._busy(now))
        if not taken and len(late) == self._waiting.pieces:
            # Nobody else needs the device, and the prediction may be wrong.
            taken, late = late[:1], late[1:]
        for piece in taken:
            self._waiting.remove(piece)
        dropped += [
            self._tickets.late(each.ticket, now) for each in late if not each.ticket.answered
        ]
        lane.restart()
        return taken

    def _again(self, now: float, dropped: list[Outcome]) -> Batch | None:
        """The next group of a batch that failed."""
        while self._retries:
            retry = self._retries.pop()
            pieces = self._in_time(retry.pieces, now, dropped)
            if pieces:
                return self._form(pieces, Reason.BISECT, now, retry.trial)
        return None

    def _in_time(
        self, pieces: Sequence[Queued], now: float, dropped: list[Outcome]
    ) -> list[Queued]:
        """Those for which somebody still waits; the late ones are dropped."""
        left = []
        for piece in pieces:
            if piece.ticket.answered:
                continue
            if piece.job.deadline <= now:
                dropped.append(self._tickets.late(piece.ticket, now))
            else:
                left.append(piece)
        return left

    def _form(
        self, pieces: list[Queued], reason: Reason, now: float, trial: Trial | None = None
    ) -> Batch:
        lane = pieces[0].lane
        key, policy, bucket = lane.model.key, lane.policy, lane.bucket
        rows = sum([piece.rows for piece in pieces])
        padded = next_size(policy.sizes, rows) if policy.sizes else rows
        predicted = self.cost.predict(key, bucket, padded)
        batch = Batch(key, policy, bucket, pieces, rows, padded, reason, predicted)
        for piece in pieces:
            piece.ticket.executed = True
        if pieces[0].job.suspect:
            self._suspect = batch
        self._outstanding[batch] = trial
        self._free_at = max(self._free_at, now) + predicted
        return batch

    def _settled(self, batch: Batch, now: float) -> Trial | None:
        trial = self._outstanding.pop(batch)
        if batch is self._suspect:
            self._suspect = None
        self._free_at = now + sum([other.predicted for other in self._outstanding])
        return trial
