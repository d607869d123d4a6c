"""Whose sequence gives way: that of the tenant with the largest share of what there is.

A tenant's share is the larger one of its shares of the places and of the blocks (the dominant share
of "Dominant Resource Fairness", Ghodsi et al. 2011). One that runs a single sequence keeps it, so
nobody gives way in turns.
"""

from collections import Counter
from collections.abc import Iterable

from backends.llm.sequence import Sequence


class Shares:
    """Of `places` sequences at once and so many `blocks`, as those that are `running` have them."""

    def __init__(self, running: Iterable[Sequence], places: int, blocks: int) -> None:
        """Raises ValueError if nobody runs."""
        self._running = list(running)
        self._first = min(self._running, key=lambda each: (each.priority, each.order))
        self._places = places
        self._blocks = blocks
        self._has = Counter(each.tenant for each in self._running)
        self._holds: Counter[str] = Counter()
        for each in self._running:
            self._holds[each.tenant] += len(each.blocks)

    def last(self) -> Sequence:
        """Who gives way where no block is free, one of the lowest priority.

        Never the first of all, unless it is alone: so somebody always comes to an end.
        """
        others = [each for each in self._running if each is not self._first]
        return max(others, key=self._rank, default=self._first)

    def for_another(self, comer: Sequence, blocks: int) -> Sequence | None:
        """Who gives way to one that waits and needs so many blocks, if somebody has to.

        Of a tenant that has no less than the comer's afterwards, so that they never change places
        for ever; and of no higher priority.
        """
        wanted = self._share(self._has[comer.tenant] + 1, self._holds[comer.tenant] + blocks)
        larger = {
            tenant
            for tenant, has in self._has.items()
            if has > 1 and tenant != comer.tenant and self._of(tenant) >= wanted
        }
        if not larger:
            return None
        found = (
            each
            for each in self._running
            if each.tenant in larger
            and each is not self._first
            and each.priority >= comer.priority
            and self._left(each) >= wanted
        )
        return max(found, key=self._rank, default=None)

    def _rank(self, sequence: Sequence) -> tuple[int, float, int]:
        return sequence.priority, self._of(sequence.tenant), sequence.order

    def _of(self, tenant: str) -> float:
        return self._share(self._has[tenant], self._holds[tenant])

    def _left(self, sequence: Sequence) -> float:
        """What its tenant's share is without it."""
        tenant = sequence.tenant
        return self._share(self._has[tenant] - 1, self._holds[tenant] - len(sequence.blocks))

    def _share(self, places: int, blocks: int) -> float:
        return max(places / self._places, blocks / self._blocks)
