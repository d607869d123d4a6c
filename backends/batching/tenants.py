"""Weighted fairness between tenants: who has used less of the device goes first.

Start-time fair queueing (Goyal, Vin, Cheng 1996) in coarse steps: tenants whose use differs by less
than QUANTUM are served by urgency alone, so that well-behaved tenants lose no deadline to fairness,
and one that floods the device is ahead of the others by no more than that. Rest earns a credit of a
few batches: the requests that come together by chance must not wait behind a flood.
"""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from backends.batching.queued import Queued, Slot

QUANTUM = 0.05  # device seconds
CREDIT_BATCHES = 8
MOST_CREDIT = 1.0  # device seconds
FRESHNESS = 0.1  # the weight of the newest batch in their mean
# Tenants' names come from outside: those without work are remembered up to this many.
MAX_RESTING = 1024
SLACK = 64  # emptied entries that a heap may always hold


class Account:
    """One tenant: what it has used (device seconds by weight), and what it has queued."""

    __slots__ = ("count", "name", "queue", "used", "weight", "work")

    def __init__(self, name: str, weight: float) -> None:
        self.name = name
        self.weight = weight
        self.used = 0.0
        self.work = 0.0
        self.count = 0
        self.queue: list[Slot] = []

    def head(self) -> Slot | None:
        queue = self.queue
        while queue and queue[0][2] is None:
            heappop(queue)
        return queue[0] if queue else None


class Tenants:
    """All tenants of a device; `weights` by tenant's name, 1 for the others."""

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self._weights = dict(weights or {})
        self._active: dict[str, Account] = {}
        self._resting: dict[str, Account] = {}
        self._credit = QUANTUM
        self._batch = 0.0  # seconds that one takes, mean
        self._virtual = 0.0
        self._weight = 0.0  # of the active ones together

    def account(self, name: str) -> Account:
        """The tenant's account, made active: work is about to be queued."""
        account = self._active.get(name)
        if account is None:
            account = self._resting.pop(name, None) or Account(name, self._weights.get(name, 1.0))
            # And no more than the credit, or a tenant could save up for a flood.
            account.used = max(account.used, self._virtual - self._credit / account.weight)
            self._active[name] = account
            self._weight += account.weight
        return account

    def took(self, seconds: float) -> None:
        """A batch took so long."""
        self._batch += (seconds - self._batch) * (FRESHNESS if self._batch else 1.0)
        self._credit = min(max(QUANTUM, CREDIT_BATCHES * self._batch), MOST_CREDIT)

    def ahead(self, account: Account) -> float:
        """Device seconds at most until the tenant's queued work is done, all others served too."""
        return account.work * self._weight / account.weight + self._credit

    def leader(self) -> Slot | None:
        """The entry whose turn it is."""
        best: tuple[int, Slot] | None = None
        least = float("inf")
        for account in self._active.values():
            head = account.head()
            if head is None:
                continue
            least = min(least, account.used)
            rank = (int(account.used / QUANTUM), head)
            if best is None or rank < best:
                best = rank
        if best is None:
            return None
        self._virtual = max(self._virtual, least)
        return best[1]

    def rest(self, account: Account) -> None:
        """The account has nothing queued any more."""
        if self._active.get(account.name) is not account:
            return  # one of the scheduler's own, which belong to nobody
        del self._active[account.name]
        self._weight = self._weight - account.weight if self._active else 0.0
        self._resting[account.name] = account
        if len(self._resting) > MAX_RESTING:
            self._forget()

    def _forget(self) -> None:
        by_use = sorted(self._resting.values(), key=lambda account: account.used)
        for account in by_use[: MAX_RESTING // 2]:
            del self._resting[account.name]


def enqueue(account: Account, queued: Queued) -> None:
    heappush(account.queue, queued.order)
    account.count += 1
    account.work += queued.work


def dequeue(account: Account, queued: Queued) -> None:
    """Counts the piece out; its entry was emptied and is dropped when it surfaces."""
    account.count -= 1
    account.work -= queued.work
    if not account.count:
        account.queue.clear()
        account.work = 0.0
    else:
        prune(account.queue, account.count)


def prune(heap: list[Slot], live: int) -> None:
    """Drops emptied entries when they are many more than the live ones."""
    if len(heap) > SLACK + 4 * live:
        heap[:] = [slot for slot in heap if slot[2] is not None]
        heapify(heap)
