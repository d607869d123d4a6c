"""Sequences that wait for room: by priority, then fair between tenants, then as they came.

Of tenants that wait, the one with the fewest tokens computed so far is next (the Virtual Token
Counter of "Fairness in Serving Large Language Models", Sheng et al. 2024). A tenant that comes anew
starts level with those that wait, so that idling saves nothing up.
"""

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import takewhile
from math import inf

from backends.llm.sequence import Sequence

Queue = OrderedDict[Sequence, None]


class Waiting:
    """Nothing but `next` takes longer the more sequences wait, and that one the more tenants do."""

    def __init__(self) -> None:
        self._queues: dict[int, dict[str, Queue]] = {}
        self._computed: dict[str, int] = {}
        self._count = 0
        # Of those that wait, and of some that don't any more.
        self._deadlines: list[tuple[float, int, Sequence]] = []

    def __len__(self) -> int:
        return self._count

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __iter__(self) -> Iterator[Sequence]:
        for level in self._queues.values():
            for queue in level.values():
                yield from queue

    def __contains__(self, sequence: Sequence) -> bool:
        return sequence in self._queues.get(sequence.priority, {}).get(sequence.tenant, ())

    def add(self, sequence: Sequence) -> None:
        """One that was there before takes its old place."""
        if not any(sequence.tenant in level for level in self._queues.values()):
            least = min((self._computed.get(each, 0) for each in self._tenants()), default=0)
            known = self._computed.get(sequence.tenant, 0)
            self._computed[sequence.tenant] = max(known, least)
        level = self._queues.setdefault(sequence.priority, {})
        queue = level.setdefault(sequence.tenant, OrderedDict())
        last = next(reversed(queue), sequence)
        queue[sequence] = None
        if last.order > sequence.order:
            # Only others that gave way can stand before it, and they are few.
            earlier = list(takewhile(lambda each: each.order < sequence.order, queue))
            for each in (sequence, *reversed(earlier)):
                queue.move_to_end(each, last=False)
        self._count += 1
        if sequence.deadline < inf:
            heappush(self._deadlines, (sequence.deadline, sequence.order, sequence))

    def late(self, now: float) -> list[Sequence]:
        """Those whose deadline is over, which wait no longer."""
        found = []
        if len(self._deadlines) > 2 * self._count + 64:
            self._deadlines = [each for each in self._deadlines if each[2] in self]
            heapify(self._deadlines)
        while self._deadlines and self._deadlines[0][0] <= now:
            sequence = heappop(self._deadlines)[2]
            if self.remove(sequence):
                found.append(sequence)
        return found

    def next(self) -> Sequence:
        """The first in line, which stays there; raises IndexError if nobody waits."""
        if not self._queues:
            raise IndexError("nobody waits")
        level = self._queues[min(self._queues)]

        def place(tenant: str) -> tuple[int, int]:
            return self._computed.get(tenant, 0), next(iter(level[tenant])).order

        tenant = min(level, key=place)
        return next(iter(level[tenant]))

    def remove(self, sequence: Sequence) -> bool:
        """Whether it was here."""
        if sequence not in self:
            return False
        level = self._queues[sequence.priority]
        queue = level[sequence.tenant]
        del queue[sequence]
        self._count -= 1
        if not queue:
            del level[sequence.tenant]
        if not level:
            del self._queues[sequence.priority]
        if not self._queues:
            self._computed.clear()  # what nobody waited for was taken from nobody
        return True

    def charge(self, tenant: str, tokens: int) -> None:
        """The tenant got so many tokens computed while others may have waited."""
        if self._queues:
            self._computed[tenant] = self._computed.get(tenant, 0) + tokens

    def _tenants(self) -> set[str]:
        return {tenant for level in self._queues.values() for tenant in level}
