"""One limit of one process over leases, as `policies/limits/filter.py` asks it."""

from hashlib import blake2b
from math import inf
from typing import TYPE_CHECKING

from policies.leases.lease import Lease
from policies.leases.slot_lease import SlotLease
from policies.leases.terms import Terms
from policies.limits.allowance import NEVER, LimitId
from protos.route.policies import Limit

if TYPE_CHECKING:
    from policies.leases.lessee import Lessee

LOST_WAIT = 1.0  # seconds that clients are told while limits can't be asked for and refuse

AnyLease = Lease | SlotLease


class Leases(dict[str, AnyLease]):
    """One limit's by key, shared by all allowances of that limit."""

    __slots__ = ("__weakref__",)


class Leased:
    """One limit for all of its keys, as `policies.limits.allowance.Allowance` has it."""

    __slots__ = ("_leases", "_lessee", "_limit", "_most", "_refuses", "_settled", "_terms")

    def __init__(
        self, lessee: "Lessee", limit_id: LimitId, limit: Limit, terms: Terms, leases: Leases
    ) -> None:
        self._lessee = lessee
        self._limit = limit_id
        self._terms = terms
        self._leases = leases
        self._most = inf if terms.rate else terms.size  # a bucket's debt fills up
        self._refuses = limit.on_state_lost == "refuse"
        self._settled = limit.requests is None and limit.rows is None

    def __repr__(self) -> str:
        return f"<Leased {self._limit}: {len(self._leases)} keys>"

    def wait(self, key: str, amount: float, now: float) -> float:
        lessee = self._lessee
        if lessee.lost and self._refuses:
            return LOST_WAIT
        lease = self._leases.get(key)
        if lease is None:
            lease = self._begin(key, now)
        return NEVER if amount > self._most else lease.wait(amount, now, lessee.holders)

    def take(self, key: str, amount: float, now: float) -> float:
        lease = self._leases.get(key)
        if lease is None:
            lease = self._begin(key, now)
        left = lease.take(amount, now)
        if not lease.live:
            self._lessee.watch(lease)
        if lease.balance < lease.low:
            self._lessee.hurry(lease)
        return left

    def settle(self, key: str, taken: float, used: float, at: float, now: float) -> None:
        lease = self._leases.get(key)
        if lease is None:
            lease = self._begin(key, now)
        lease.settle(taken, used, at, now)
        if not lease.live:
            self._lessee.watch(lease)

    def left(self, key: str, now: float) -> float:
        lease = self._leases.get(key)
        return self._terms.size if lease is None else lease.left(now)

    def idle(self, now: float) -> bool:
        return not self._leases

    async def ask(self, key: str, amount: float) -> None:
        lease = self._leases.get(key)
        if lease is not None:
            lease.need(amount)
            await self._lessee.ask(lease)

    def _begin(self, key: str, now: float) -> AnyLease:
        name = blake2b(f"{self._limit}\0{key}".encode(), digest_size=16).hexdigest()
        lease: AnyLease
        if self._terms.kind == "slots":
            lease = SlotLease(name, self._terms, now=now)
        else:
            holders = self._lessee.holders
            lease = Lease(name, self._terms, settled=self._settled, holders=holders, now=now)
        self._lessee.place(lease, self._limit, self._leases, key)
        return lease
