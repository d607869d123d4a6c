"""All that waits for one device: pieces in lanes and accounts, and the order among them."""

from collections.abc import Mapping
from heapq import heappop, heappush
from math import inf

from backends.batching.backlog import Backlog
from backends.batching.cost import CostTable
from backends.batching.job import Bucket, Job, ModelKey
from backends.batching.lanes import Lane, Model
from backends.batching.queued import Queued, Slot
from backends.batching.tenants import Account, Tenants, dequeue, enqueue, prune

# Lanes are kept while empty, for their costs; shapes come from clients, so only so many.
MAX_LANES = 256


class Waiting:
    """Where a piece waits: its lane decides whom it executes with, its account whose turn it is."""

    def __init__(self, weights: Mapping[str, float] | None) -> None:
        self.pieces = 0
        self.backlog = Backlog()
        self._lanes: dict[tuple[ModelKey, Bucket, bool], Lane] = {}
        self._full: dict[Lane, None] = {}
        self._tenants = Tenants(weights)
        self._suspects = Account("", 1.0)
        self._shadows = Account("", 1.0)
        self._expiries: list[Slot] = []

    def lane(self, job: Job, model: Model, cost: CostTable) -> Lane:
        """The lane in which the job belongs; a suspect gets one to itself."""
        if job.suspect:
            lane = Lane(model, job.bucket, alone=True)
            lane.learn(cost)
            return lane
        where = (job.model, job.bucket, job.shadow)
        found = self._lanes.get(where)
        if found is None:
            if len(self._lanes) >= MAX_LANES:
                self._lanes = {where: lane for where, lane in self._lanes.items() if lane.count}
            found = self._lanes[where] = Lane(model, job.bucket)
            found.learn(cost)
        return found

    def close_lanes(self, key: ModelKey) -> None:
        """The model's lanes take nothing more; they are served until they are empty."""
        self._lanes = {where: lane for where, lane in self._lanes.items() if where[0] != key}

    def account(self, job: Job) -> Account:
        """Who pays for the job; `release` it if nothing comes of that."""
        if job.suspect:
            return self._suspects
        return self._shadows if job.shadow else self._tenants.account(job.tenant)

    def took(self, seconds: float) -> None:
        """A batch took so long."""
        self._tenants.took(seconds)

    def release(self, account: Account) -> None:
        if not account.count:
            self._tenants.rest(account)

    def ahead(self, job: Job, account: Account, urgency: float) -> float:
        """Device seconds of the work that will be done before the job is: the better of two bounds.

        One is what is more urgent, the other what the tenant's fair share of the device leaves.
        """
        urgent = self.backlog.before(urgency)
        if job.suspect or job.shadow:
            return urgent
        return min(urgent, self._tenants.ahead(account))

    def push(self, piece: Queued, now: float) -> None:
        lane, job = piece.lane, piece.job
        lane.push(piece, now)
        enqueue(piece.account, piece)
        self.backlog.add(piece.order[0], piece.work)
        self.pieces += 1
        if job.deadline != inf:
            heappush(self._expiries, piece.expiry)
        if job.shadow:
            lane.model.shadow_rows += piece.rows
        else:
            lane.model.rows += piece.rows
            if lane.full and not job.suspect:
                self._full[lane] = None

    def remove(self, piece: Queued) -> None:
        """The piece is taken, cancelled or late: it waits no longer."""
        lane, account = piece.lane, piece.account
        self.backlog.remove(piece.order[0], piece.work)
        piece.order[2] = piece.expiry[2] = None
        lane.remove(piece)
        if lane in self._full and not (lane.count and lane.full):
            del self._full[lane]
        dequeue(account, piece)
        if not account.count:
            self._tenants.rest(account)
        if piece.job.shadow:
            lane.model.shadow_rows -= piece.rows
        else:
            lane.model.rows -= piece.rows
        self.pieces -= 1
        if self.pieces:
            prune(self._expiries, self.pieces)
        else:
            self._expiries.clear()

    def leader(self, *, suspects: bool) -> Lane | None:
        """The lane whose turn it is. `suspects`: whether one of them may execute now."""
        best = self._tenants.leader() or self._shadows.head()
        suspect = self._suspects.head() if suspects else None
        if suspect is not None and (best is None or suspect < best):
            best = suspect
        if best is None:
            return None
        leader: Queued = best[2]
        return leader.lane

    def full_lane(self) -> Lane | None:
        """A lane that fills a batch, the one that does so the longest; never one of shadow jobs."""
        return next(iter(self._full), None)

    def next_expiry(self) -> float:
        heap = self._expiries
        while heap and heap[0][2] is None:
            heappop(heap)
        return float(heap[0][0]) if heap else inf

    def expired(self, now: float) -> Queued | None:
        """A piece whose deadline is over, if there is one."""
        if self.next_expiry() > now:
            return None
        late: Queued = self._expiries[0][2]
        return late
