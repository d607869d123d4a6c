"""Which requests of one model go on now, which wait, and which are refused at once.

While fewer are in flight than the bound allows, all go on. From then on they wait, each tenant's in
a queue of its own, and a place that gets free goes to whom the least was given for its weight. A
tenant below its share doesn't wait for a place: the bound keeps the backend's queue short, and
there it goes before the others; meanwhile the bound is exceeded by what those have too many.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from policies.fair.bound import Answer, Bound
from policies.fair.queue import CREDIT, FairQueue, Flow, Ticket
from policies.fair.settings import Fairness
from protos.errors import Kind, PenstockError

# What a wait may take longer than predicted before a deadline is missed. If all waited as long as
# they could, all would be late as soon as the model got a little slower, and nothing of use done.
CAUTION = 2.0
LEAST_RETRY_AFTER = 0.01  # seconds
# Device seconds of a row, until it is known.
UNKNOWN_WORK = 0.01
OTHERS = "other"
# So many requests of tenants below their shares may be in flight beyond the bound; as many as the
# bound allows where that is more.
MOST_EXTRA = 32
# What rest is worth is so many batches, within bounds: a few requests at once, as they come by
# chance, must not wait behind those of a tenant that floods.
CREDIT_BATCHES = 8
MOST_CREDIT = 1.0  # device seconds

# A tenant's queue was full; all were, and the tenant's was the longest; the deadline was too near.
Reason = Literal["queue", "total", "deadline"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests that had to wait, by model; those refused by model, tenant and reason.

    Tenants without a weight of their own are counted together, so that there are few series.
    """

    queued: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str, Reason]] = field(default_factory=Counter)


class Place(NamedTuple):
    """How a request goes on.

    `work`: the device seconds that its tenant was charged; `extra`: beyond the bound.
    """

    work: float
    extra: bool


FREE = Place(0.0, extra=False)  # while nobody has to wait, nobody is charged


class Admission:
    """Decides for the model `name`, without clock or I/O; times are in seconds."""

    __slots__ = (
        "_counts",
        "_name",
        "_settings",
        "bound",
        "extra",
        "flows",
        "in_flight",
        "least_size",
        "queue",
    )

    def __init__(self, name: str, settings: Fairness, share: float, counts: Counts) -> None:
        self._name = name
        self._settings = settings
        self._counts = counts
        self.bound = Bound(share)
        self.queue = FairQueue()
        self.flows = self.queue.flows
        self.in_flight = 0
        self.extra = 0  # of these, that passed though all places were taken
        # What a request counts for at least, in bytes: so both bounds of the queue are one.
        self.least_size = settings.queue.bytes // settings.queue.total

    def flow(self, tenant: str) -> Flow:
        flow = self.flows.get(tenant)
        return flow or self.queue.add_flow(tenant, self._settings.weight(tenant))

    def estimate(self, rows: int) -> float:
        """Device seconds."""
        return rows * (self.bound.row_work or UNKNOWN_WORK)

    def passes(self, flow: Flow) -> bool:
        """Whether a request of the tenant's goes on though all places are taken.

        It does below the tenant's share of the places, or of what was done.
        """
        return not flow.waiting and self._may_pass(flow)

    def _may_pass(self, flow: Flow) -> bool:
        if self.extra >= max(self.bound.value, MOST_EXTRA):
            return False
        if flow.under_way == self.in_flight + self.queue.waiting:
            return False  # it has nobody to share with
        lead = self.queue.lead(flow)
        if lead <= -0.5:
            return True
        # With few places it may be a little ahead: what is measured by what others get stands still
        # while theirs are stuck, for reasons that may lie in other workers.
        places = self.bound.value * flow.weight / self.queue.weight
        return lead <= 1.0 and flow.under_way - flow.waiting < places

    def enter(self, flow: Flow, place: Place = FREE) -> None:
        """A request goes on; `leave` must follow."""
        self.in_flight += 1
        if place is not FREE:
            self.extra += place.extra
        # As in `FairQueue.enter`: the one thing here that each request pays for.
        if not flow.under_way:
            self.queue.weight += flow.weight
        flow.under_way += 1

    def leave(self, flow: Flow, place: Place = FREE) -> None:
        """It has ended, however it did."""
        self.in_flight -= 1
        if place is not FREE:
            self.extra -= place.extra
        flow.under_way -= 1
        if not flow.under_way:
            self.queue.weight -= flow.weight

    def observe(self, now: float, answer: Answer) -> None:
        """Learns from the first part of an answer, while it still counts as in flight."""
        self.bound.observe(now, answer)
        self.queue.credit = min(max(CREDIT, CREDIT_BATCHES * self.bound.compute), MOST_CREDIT)

    def account(self, flow: Flow, place: Place, work: float, rows: int) -> None:
        """A request of so many rows has used so many device seconds."""
        self.bound.used(work, rows)
        self.queue.advance(work)
        if place is FREE:
            self.queue.charge(flow, work)
        else:
            self.queue.correct(flow, work - place.work)

    def wait(self, ticket: Ticket, now: float) -> list[Ticket]:
        """Queues a request; those in the list, of another tenant, have lost their places to it.

        Raises RATE_LIMITED if the tenant has too much waiting, OVERLOADED if it has nothing, and
        the request could still not be done by its deadline.
        """
        flow = ticket.flow
        wait = self._wait(flow, flow.ahead(ticket.priority) + ticket.work)
        late = now + wait * CAUTION + self.bound.latency - ticket.deadline
        if late > 0.0:
            raise self.refusal(flow, "deadline", late)
        if flow.waiting >= self._settings.queue.per_tenant:
            raise self.refusal(flow, "queue", wait)
        out = self._make_room(ticket)
        if out is None:
            raise self.refusal(flow, "total", wait)
        for each in out:
            self.queue.remove(each)
        self.queue.push(ticket)
        self.count_queued()
        return out

    def count_queued(self) -> None:
        self._counts.queued[self._name] += 1

    def next(self, now: float, left: Flow) -> tuple[Ticket, Place | None] | None:
        """A ticket that waits no longer, and the place that it has got; None if all others stay.

        One without a place can't be done by its deadline any more. The others have entered. `left`
        is the tenant of which a request has just ended.
        """
        queue = self.queue
        if not queue.waiting:
            return None
        ticket = queue.head()
        extra = self.in_flight >= self.bound.value
        if extra and not self._may_pass(ticket.flow):
            if not left.waiting or not self._may_pass(left):
                return None
            ticket = left.first()
        if ticket.deadline < now + self.bound.latency:
            queue.remove(ticket)
            return ticket, None
        queue.take(ticket)
        self.in_flight += 1
        self.extra += extra
        return ticket, Place(ticket.work, extra)

    def refusal(self, flow: Flow, reason: Reason, wait: float = 0.0) -> PenstockError:
        """Counts and returns it; `wait`: seconds until it is worth trying again."""
        named = flow.name if flow.name in self._settings.weights else OTHERS
        self._counts.refused[self._name, named, reason] += 1
        retry_after = max(wait, LEAST_RETRY_AFTER)
        if reason == "deadline" and not flow.waiting:
            text = "the model can't do the request by its deadline"
            return PenstockError(Kind.OVERLOADED, text, retry_after=retry_after)
        text = "more requests of yours are waiting than the model can do at your share of it"
        return PenstockError(Kind.RATE_LIMITED, text, retry_after=retry_after)

    def _make_room(self, ticket: Ticket) -> list[Ticket] | None:
        """What must go for it; None if it is the newcomer that must.

        The tenant that has most waiting pays (McKenney 1990), or one could have others refused.
        """
        excess = self.queue.size + ticket.size - self._settings.queue.bytes
        if excess <= 0:
            return []
        flow, most = ticket.flow, self.queue.most()
        if most is None or most.size * flow.weight <= (flow.size + ticket.size) * most.weight:
            return None
        out: list[Ticket] = []
        for each in most.newest():
            out.append(each)
            excess -= each.size
            if excess <= 0:
                return out
        return None

    def _wait(self, flow: Flow, work: float) -> float:
        """Until so much of the tenant's has gone on, at its share of what is being done."""
        speed = self.bound.speed
        if not speed:
            return 0.0
        weights = self.queue.weight + (0.0 if flow.under_way else flow.weight)
        return work / speed * weights / flow.weight
