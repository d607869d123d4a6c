"""A lane holds the queued work that may share a batch: one model, one bucket.

It knows when its next batch should leave and who is in it.
"""

from heapq import heappop, heappush
from math import inf

from backends.batching.batch import Reason
from backends.batching.cost import CostTable
from backends.batching.job import BatchPolicy, Bucket, ModelKey
from backends.batching.queued import Queued, Slot
from backends.batching.tenants import QUANTUM, Account, prune

# A lane from which nothing came for this part of the policy's delay stops waiting for more.
QUIET_PART = 0.125
# Work of unknown cost counts a little, so that tenants' shares mean something from the start.
LEAST_ROW_COST = 1e-6
# What a batch may take longer than predicted before a deadline is missed, relative and in seconds.
CAUTION = 1.1
MARGIN = 0.0005


class Model:
    """What is queued of one model; kept by the scheduler."""

    __slots__ = ("key", "policy", "rows", "shadow_rows")

    def __init__(self, key: ModelKey, policy: BatchPolicy) -> None:
        self.key = key
        self.policy = policy
        self.rows = 0  # of jobs that somebody waits for
        self.shadow_rows = 0


class Lane:
    """Queued pieces of one model and bucket, by tenant and urgency."""

    __slots__ = (
        "_alone",
        "_flows",
        "_leave_by",
        "_newest",
        "_oldest",
        "bucket",
        "count",
        "full_cost",
        "model",
        "policy",
        "row_cost",
        "rows",
        "single_cost",
    )

    def __init__(self, model: Model, bucket: Bucket, *, alone: bool = False) -> None:
        self.model = model
        self.bucket = bucket
        self.policy = model.policy
        self._alone = alone or not self.policy.max_rows
        self.rows = 0
        self.count = 0
        self._flows: dict[Account, list[Slot]] = {}
        self._oldest = inf
        self._newest = 0.0
        self._leave_by = inf
        self.single_cost = self.full_cost = 0.0  # seconds of the smallest and the largest batch
        self.row_cost = LEAST_ROW_COST

    @property
    def full(self) -> bool:
        """Whether a batch taken now can't grow any more."""
        return self._alone or self.rows >= self.policy.max_rows

    def learn(self, cost: CostTable) -> None:
        """Takes over what the cost table says now."""
        most = self.policy.max_rows or 1
        least = self.policy.sizes[0] if self.policy.sizes else 1
        self.single_cost = cost.predict(self.model.key, self.bucket, least)
        self.full_cost = cost.predict(self.model.key, self.bucket, most)
        self.row_cost = max(self.full_cost / most, LEAST_ROW_COST)

    def push(self, queued: Queued, now: float) -> None:
        flow = self._flows.get(queued.account)
        if flow is None:
            flow = self._flows[queued.account] = []
        heappush(flow, queued.order)
        self.rows += queued.rows
        self.count += 1
        self._newest = now
        if now < self._oldest:
            self._oldest = now
        leave_by = queued.job.deadline - self.full_cost * CAUTION - MARGIN
        if leave_by < self._leave_by:
            self._leave_by = leave_by

    def remove(self, queued: Queued) -> None:
        """Counts out a piece whose entry was emptied."""
        self.rows -= queued.rows
        self.count -= 1
        flow = self._flows.get(queued.account)
        if flow is not None:
            prune(flow, self.count)

    def leave(self, now: float, keeps_up: bool) -> Reason | float:
        """Why a batch should leave now; else when to look again.

        `keeps_up`: the device manages its demand without batching, so that waiting gains nothing.
        """
        delay = self.policy.max_delay
        if self._alone:
            return Reason.ALONE
        if self.full:
            return Reason.FULL
        if keeps_up:
            return Reason.IDLE
        if now >= self._leave_by:
            return Reason.DEADLINE
        if now >= self._oldest + delay:
            return Reason.DELAY
        quiet = self._newest + delay * QUIET_PART
        if now >= quiet:
            return Reason.QUIET
        return min(self._leave_by, self._oldest + delay, quiet)

    def take(self, now: float) -> tuple[list[Queued], list[Queued]]:
        """Takes out the next batch's pieces, and those that can't be done in time any more."""
        taken: list[Queued] = []
        late: list[Queued] = []
        room = self.policy.max_rows or 1
        in_time = now + self.single_cost * CAUTION
        one_flow = len(self._flows) == 1
        heads: list[tuple[int, Slot, Account, list[Slot]]] = []
        for account, flow in list(self._flows.items()):
            self._stand(heads, account, flow)
        while heads and room:
            _, slot, account, flow = heads[0]
            piece: Queued = slot[2]
            size = piece.rows if self.policy.max_rows else 1
            if piece.job.deadline < in_time:
                late.append(piece)
            elif size > room:
                break
            else:
                taken.append(piece)
                room -= size
                account.used += piece.work / account.weight
            heappop(flow)
            if one_flow:
                # The commonest case by far needs no heap of flows.
                while flow and flow[0][2] is None:
                    heappop(flow)
                if not flow:
                    break
                heads[0] = (0, flow[0], account, flow)
            else:
                heappop(heads)
                self._stand(heads, account, flow)
        for account, flow in list(self._flows.items()):
            if not flow:
                del self._flows[account]
        return taken, late

    def restart(self) -> None:
        """Dates the waiting by those left behind, when a batch has been taken and counted out."""
        if self.full:
            self._oldest = 0.0  # they fill a batch, so they won't wait; no need to look at them all
            return
        self._oldest = self._leave_by = inf
        lateness = self.full_cost * CAUTION + MARGIN
        for flow in self._flows.values():
            for _, _, piece in flow:
                if piece is not None:
                    self._oldest = min(self._oldest, piece.job.arrival)
                    self._leave_by = min(self._leave_by, piece.job.deadline - lateness)

    def _stand(
        self,
        heads: list[tuple[int, Slot, Account, list[Slot]]],
        account: Account,
        flow: list[Slot],
    ) -> None:
        while flow and flow[0][2] is None:
            heappop(flow)
        if flow:
            heappush(heads, (int(account.used / QUANTUM), flow[0], account, flow))
