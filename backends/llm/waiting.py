"""Sequences that wait for room: by priority, then fair between tenants, then as they came.

Of tenants that wait, the one with the fewest tokens computed so far is next (the Virtual Token
Counter of "Fairness in Serving Large Language Models", Sheng et al. 2024). A tenant that comes anew
starts level with those that wait, so that idling saves nothing up.
"""

from bisect import insort
from collections.abc import Iterator

from backends.llm.sequence import Sequence


class Waiting:
    def __init__(self) -> None:
        self._queues: dict[int, dict[str, list[Sequence]]] = {}
        self._computed: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(len(queue) for level in self._queues.values() for queue in level.values())

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __iter__(self) -> Iterator[Sequence]:
        for level in self._queues.values():
            for queue in level.values():
                yield from queue

    def add(self, sequence: Sequence) -> None:
        """One that was there before takes its old place."""
        if sequence.tenant not in self._tenants():
            least = min((self._computed.get(each, 0) for each in self._tenants()), default=0)
            known = self._computed.get(sequence.tenant, 0)
            self._computed[sequence.tenant] = max(known, least)
        queue = self._queues.setdefault(sequence.priority, {}).setdefault(sequence.tenant, [])
        insort(queue, sequence, key=lambda each: each.order)

    def next(self) -> Sequence:
        """The first in line, which stays there; raises IndexError if nobody waits."""
        if not self._queues:
            raise IndexError("nobody waits")
        level = self._queues[min(self._queues)]
        tenant = min(level, key=lambda name: (self._computed.get(name, 0), level[name][0].order))
        return level[tenant][0]

    def remove(self, sequence: Sequence) -> bool:
        """Whether it was here."""
        level = self._queues.get(sequence.priority, {})
        queue = level.get(sequence.tenant, [])
        if sequence not in queue:
            return False
        queue.remove(sequence)
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
