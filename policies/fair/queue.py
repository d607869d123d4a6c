"""Whose turn is next: start-time fair queueing between tenants, by priority within one.

After Goyal, Vin and Cheng (1996): each tenant has a virtual time, its use of the device divided by
its weight, and who is least far is next. The queue's own virtual time is what each would have got
of what was done, were it shared evenly. A tenant that comes back after rest starts there, less a
credit, so that a few requests at once don't wait behind one that floods.
"""

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heappop, heappush, heapreplace
from itertools import count
from math import inf

CREDIT = 0.05  # device seconds
# Tenants without anything in flight or waiting are remembered up to this many.
MAX_RESTING = 1024


class Ticket:
    """One request: its estimated device seconds, its bytes, and when its time is over."""

    __slots__ = ("deadline", "flow", "priority", "size", "work")

    def __init__(
        self, flow: "Flow", work: float, priority: int, deadline: float, size: int
    ) -> None:
        self.flow = flow
        self.work = work
        self.priority = priority
        self.deadline = deadline
        self.size = size


class Level:
    """One tenant's waiting requests of one priority, the oldest first."""

    __slots__ = ("tickets", "work")

    def __init__(self) -> None:
        self.tickets: OrderedDict[Ticket, None] = OrderedDict()
        self.work = 0.0


class Flow:
    """What one tenant has under way (in flight or waiting), has waiting of it, and has used."""

    __slots__ = (
        "finish",
        "levels",
        "name",
        "size",
        "standing",
        "under_way",
        "waiting",
        "weight",
        "work",
    )

    def __init__(self, name: str, weight: float) -> None:
        self.name = name
        self.weight = weight
        self.under_way = 0
        self.waiting = 0
        self.work = 0.0  # device seconds that wait
        self.size = 0  # bytes that wait
        self.finish = -inf  # virtual time at which what it was given ends
        self.levels: dict[int, Level] = {}  # by priority; only those where something waits
        self.standing = False

    def ahead(self, priority: int) -> float:
        """Device seconds of the tenant's own that go before a newcomer."""
        return sum([level.work for at, level in self.levels.items() if at <= priority])

    def first(self) -> Ticket:
        """What goes on next of it; something must be waiting."""
        return next(iter(self.levels[min(self.levels)].tickets))

    def newest(self) -> Iterator[Ticket]:
        """What waits, the least urgent and newest first."""
        for priority in sorted(self.levels, reverse=True):
            yield from reversed(self.levels[priority].tickets)

    def __repr__(self) -> str:
        return f"<Flow {self.name}: {self.under_way} under way, {self.waiting} waiting>"


class FairQueue:
    """The waiting requests of one model.

    `credit`: device seconds by which rest puts a tenant ahead; shares may be off by as much.
    """

    def __init__(self) -> None:
        self.credit = CREDIT
        self.waiting = 0
        self.size = 0  # bytes
        self.weight = 0.0  # of the tenants that have something under way
        self.flows: dict[str, Flow] = {}  # by tenant
        self._virtual = 0.0
        self._latest = 0.0  # the furthest that a tenant has got
        self._heads: list[tuple[float, int, Flow]] = []
        self._numbers = count()

    def add_flow(self, name: str, weight: float) -> Flow:
        if len(self.flows) >= MAX_RESTING:
            for each in [each for each, flow in self.flows.items() if not flow.under_way]:
                del self.flows[each]
        flow = self.flows[name] = Flow(name, weight)
        return flow

    def enter(self, flow: Flow) -> None:
        """A request of the tenant's is under way from now on."""
        if not flow.under_way:
            self.weight += flow.weight
        flow.under_way += 1

    def leave(self, flow: Flow) -> None:
        flow.under_way -= 1
        if not flow.under_way:
            self.weight -= flow.weight

    def lead(self, flow: Flow) -> float:
        """How much more than its share of what was done the tenant has got, in credits."""
        return (flow.finish - self._virtual) * flow.weight / self.credit

    def advance(self, work: float) -> None:
        """So many device seconds were done, for whomever."""
        virtual = self._virtual + work / self.weight
        if self.waiting:
            # Nobody who always has something waiting gets less than its share.
            virtual = min(virtual, max(self.head().flow.finish, self._virtual))
        self._virtual = virtual

    def charge(self, flow: Flow, work: float) -> None:
        """The tenant is given so many device seconds."""
        flow.finish = self._start(flow) + work / flow.weight
        self._latest = max(self._latest, flow.finish)

    def correct(self, flow: Flow, excess: float) -> None:
        """It has used so many device seconds more than it was charged for, or less."""
        flow.finish += excess / flow.weight
        self._latest = max(self._latest, flow.finish)

    def push(self, ticket: Ticket) -> None:
        flow = ticket.flow
        level = flow.levels.get(ticket.priority)
        if level is None:
            level = flow.levels[ticket.priority] = Level()
        level.tickets[ticket] = None
        level.work += ticket.work
        self.enter(flow)
        flow.waiting += 1
        flow.work += ticket.work
        flow.size += ticket.size
        self.waiting += 1
        self.size += ticket.size
        self._stand(flow)

    def head(self) -> Ticket:
        """The ticket whose turn it is; something must be waiting."""
        heads = self._heads
        while True:
            start, number, flow = heads[0]
            if not flow.waiting:
                heappop(heads)
                flow.standing = False
            elif flow.finish > start:  # it has been given something since
                heapreplace(heads, (flow.finish, number, flow))
            else:
                return flow.first()

    def take(self, ticket: Ticket) -> None:
        """Takes out a ticket that goes on, and charges its tenant for it; it stays under way."""
        flow = ticket.flow
        if ticket is self.head():
            # Or less than the entry says, if what it was charged has been corrected.
            self._virtual = max(self._virtual, min(self._heads[0][0], self._start(flow)))
        self.enter(flow)
        self.remove(ticket)
        self.charge(flow, ticket.work)
        if not self.waiting:
            # The busy period is over: in the next one all begin alike.
            self._virtual = max(self._virtual, self._latest)

    def remove(self, ticket: Ticket) -> bool:
        """Takes the ticket out, whoever's turn it is; whether it was there."""
        flow = ticket.flow
        level = flow.levels.get(ticket.priority)
        if level is None or ticket not in level.tickets:
            return False
        del level.tickets[ticket]
        level.work -= ticket.work
        if not level.tickets:
            del flow.levels[ticket.priority]
        flow.waiting -= 1
        flow.work = flow.work - ticket.work if flow.waiting else 0.0
        flow.size -= ticket.size
        self.waiting -= 1
        self.size -= ticket.size
        self.leave(flow)
        return True

    def most(self) -> Flow | None:
        """The tenant of which the most bytes are waiting for its weight."""
        waiting = [flow for _, _, flow in self._heads if flow.waiting]
        return max(waiting, key=lambda flow: flow.size / flow.weight, default=None)

    def _start(self, flow: Flow) -> float:
        return max(flow.finish, self._virtual - self.credit / flow.weight)

    def _stand(self, flow: Flow) -> None:
        """One entry for each tenant; one whose tickets were all taken out surfaces in its time."""
        if not flow.standing:
            flow.standing = True
            heappush(self._heads, (self._start(flow), next(self._numbers), flow))

    def __repr__(self) -> str:
        return f"<FairQueue {self.waiting} waiting>"
