"""Which requests of one model go on now, which wait, and which are refused at once.

While fewer are in flight than the bound allows, all go on. From then on they wait, each tenant's in
a queue of its own, and a place that gets free goes to whom the least was given for its weight. A
tenant below its share doesn't wait for a place: the bound keeps the backend's queue short, and
there it goes before the others; meanwhile the bound is exceeded by what those have too many.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from policies.fair.bound import Bound
from policies.fair.queue import FairQueue, Flow, Ticket
from policies.fair.settings import Fairness
from protos.errors import Kind, PenstockError

# What a wait may take longer than predicted before a deadline is missed. If all waited as long as
# they could, all would be late as soon as the model got a little slower, and nothing of use done.
CAUTION = 2.0
LEAST_RETRY_AFTER = 0.01  # seconds
# Device seconds of a row, until it is known.
UNKNOWN_WORK = 0.001
# The bound may be exceeded, for tenants below their shares, to so many times itself.
MOST_EXCEEDED = 2
OTHERS = "other"

# A tenant's queue was full; all were, and the tenant's was the longest; the deadline was too near.
Reason = Literal["queue", "total", "deadline"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests that had to wait, by model; those refused by model, tenant and reason.

    Tenants without a weight of their own are counted together, so that there are few series.
    """

    queued: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str, Reason]] = field(default_factory=Counter)


class Admission:
    """Decides for the model `name`, without clock or I/O; times are in seconds."""

    __slots__ = ("_counts", "_name", "_settings", "bound", "in_flight", "least_size", "queue")

    def __init__(self, name: str, settings: Fairness, share: float, counts: Counts) -> None:
        self._name = name
        self._settings = settings
        self._counts = counts
        self.bound = Bound(share)
        self.queue = FairQueue()
        self.in_flight = 0
        # What a request counts for at least, in bytes: so both bounds of the queue are one.
        self.least_size = settings.queue.bytes // settings.queue.total

    def flow(self, tenant: str) -> Flow:
        flow = self.queue.flow(tenant)
        return flow or self.queue.add_flow(tenant, self._settings.weight(tenant))

    def estimate(self, rows: int) -> float:
        """Device seconds."""
        return rows * (self.bound.row_work or UNKNOWN_WORK)

    def passes(self, flow: Flow) -> bool:
        """Whether a request of the tenant's goes on though all places are taken.

        It must be below its share, both of the places and of the device.
        """
        if flow.waiting or self.in_flight >= MOST_EXCEEDED * self.bound.value:
            return False
        places = self.bound.value * flow.weight / (self.queue.weight + flow.weight)
        return flow.in_flight < places and self.queue.due(flow)

    def enter(self, flow: Flow) -> None:
        """A request goes on; `leave` must follow."""
        self.in_flight += 1
        flow.in_flight += 1

    def leave(self, flow: Flow) -> None:
        """It has ended, however it did."""
        self.in_flight -= 1
        flow.in_flight -= 1

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

    def next(self, now: float) -> tuple[Ticket, bool] | None:
        """A ticket that waits no longer, and whether it goes on; None if all others stay.

        One that does not go on can't be done by its deadline any more. One that does has entered.
        """
        queue = self.queue
        if not queue.waiting or self.in_flight >= self.bound.value:
            return None
        ticket = queue.head()
        if ticket.deadline < now + self.bound.latency:
            queue.remove(ticket)
            return ticket, False
        queue.take()
        self.enter(ticket.flow)
        return ticket, True

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
        weights = self.queue.weight + (0.0 if flow.waiting else flow.weight)
        return work / speed * weights / flow.weight
