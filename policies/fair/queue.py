"""Whose turn is next: start-time fair queueing between tenants, by priority within one.

After Goyal, Vin and Cheng (1996): each tenant has a virtual time, its use of the device divided by
its weight, and who is least far is next. A tenant that comes back after rest starts where the
others are, less a credit, so that a few requests at once don't wait behind one that floods.
"""

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from math import inf

# Device seconds by which rest puts a tenant ahead, and so by how much shares may be off.
CREDIT = 0.05
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
    """What one tenant has in flight, has waiting, and has used."""

    __slots__ = (
        "finish",
        "in_flight",
        "levels",
        "name",
        "size",
        "standing",
        "waiting",
        "weight",
        "work",
    )

    def __init__(self, name: str, weight: float) -> None:
        self.name = name
        self.weight = weight
        self.in_flight = 0
        self.waiting = 0
        self.work = 0.0  # device seconds that wait
        self.size = 0  # bytes that wait
        self.finish = -inf  # virtual time at which what it was given ends
        self.levels: dict[int, Level] = {}  # by priority; only those where something waits
        self.standing = False

    def ahead(self, priority: int) -> float:
        """Device seconds of the tenant's own that go before a newcomer."""
        return sum([level.work for at, level in self.levels.items() if at <= priority])

    def newest(self) -> Iterator[Ticket]:
        """What waits, the least urgent and newest first."""
        for priority in sorted(self.levels, reverse=True):
            yield from reversed(self.levels[priority].tickets)

    def __repr__(self) -> str:
        return f"<Flow {self.name}: {self.in_flight} in flight, {self.waiting} waiting>"


class FairQueue:
    """The waiting requests of one model."""

    def __init__(self) -> None:
        self.waiting = 0
        self.size = 0  # bytes
        self.weight = 0.0  # of the tenants that have something waiting
        self._flows: dict[str, Flow] = {}
        self._virtual = 0.0
        self._latest = 0.0  # the furthest that a tenant has got
        self._heads: list[tuple[float, int, Flow]] = []
        self._numbers = count()

    def flow(self, name: str) -> Flow | None:
        return self._flows.get(name)

    def add_flow(self, name: str, weight: float) -> Flow:
        if len(self._flows) >= MAX_RESTING:
            self._flows = {n: f for n, f in self._flows.items() if f.in_flight or f.waiting}
        flow = self._flows[name] = Flow(name, weight)
        return flow

    def due(self, flow: Flow) -> bool:
        """Whether the tenant is no further than whoever's turn it is."""
        return flow.finish <= self._virtual

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
        if not flow.waiting:
            self.weight += flow.weight
        flow.waiting += 1
        flow.work += ticket.work
        flow.size += ticket.size
        self.waiting += 1
        self.size += ticket.size
        self._stand(flow)

    def head(self) -> Ticket:
        """The ticket whose turn it is; something must be waiting."""
        while not self._heads[0][2].waiting:
            heappop(self._heads)[2].standing = False
        flow = self._heads[0][2]
        return next(iter(flow.levels[min(flow.levels)].tickets))

    def take(self) -> Ticket:
        """Takes out the head, and charges its tenant for it."""
        ticket = self.head()
        start, _, flow = heappop(self._heads)
        flow.standing = False
        self._virtual = max(self._virtual, start)
        self.remove(ticket)
        self.charge(flow, ticket.work)
        if flow.waiting:
            self._stand(flow)
        if not self.waiting:
            # The busy period is over: in the next one all begin alike.
            self._virtual = max(self._virtual, self._latest)
        return ticket

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
        if not flow.waiting:
            self.weight = self.weight - flow.weight if self.waiting else 0.0
        return True

    def most(self) -> Flow | None:
        """The tenant of which the most bytes are waiting for its weight."""
        waiting = [flow for _, _, flow in self._heads if flow.waiting]
        return max(waiting, key=lambda flow: flow.size / flow.weight, default=None)

    def _start(self, flow: Flow) -> float:
        return max(flow.finish, self._virtual - CREDIT / flow.weight)

    def _stand(self, flow: Flow) -> None:
        """One entry for each tenant; one whose tickets were all taken out surfaces in its time."""
        if not flow.standing:
            flow.standing = True
            heappush(self._heads, (self._start(flow), next(self._numbers), flow))

    def __repr__(self) -> str:
        return f"<FairQueue {self.waiting} waiting>"
