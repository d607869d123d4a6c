"""Sends a request elsewhere when its backend died or refused it, within a budget.

Stands above picking, so that a retry can go elsewhere, and can't retry after the first part of a
reply: the service returns when that part exists. The budget follows Finagle's RetryBudget: each
request deposits a fraction of a retry, and a reserve lets quiet services retry too.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from protos.errors import Kind, PenstockError
from protos.service import Reply, Service
from protos.values import InferRequest

MAX_ATTEMPTS = 3
POISON_TTL = 600.0  # seconds
POISON_ENTRIES = 1024


class Budget:
    """Retries that may still be made: `share` of the requests plus a reserve that refills."""

    def __init__(
        self, now: float, share: float = 0.1, reserve: float = 10.0, refill: float = 2.0
    ) -> None:
        self._share = share
        self._most = reserve + 1000 * share
        self._reserve = reserve
        self._refill = refill  # retries a second up to the reserve
        self._balance = reserve
        self._at = now

    def deposit(self) -> None:
        if self._balance < self._most:
            self._balance += self._share

    def withdraw(self, now: float) -> bool:
        if self._balance < self._reserve:
            gained = (now - self._at) * self._refill
            self._balance = min(self._reserve, self._balance + gained)
        self._at = now
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True

    def reserve_for(self, calls: int) -> None:
        """A dead stream's calls must all fit, or a quiet service would lose them."""
        self._balance = max(self._balance, float(calls))


class Poison:
    """Fingerprints of requests that were in flight at two crashes, by tenant; bounded, they age."""

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def add(self, request: InferRequest, now: float) -> None:
        self._until[fingerprint(request)] = now + POISON_TTL
        while len(self._until) > POISON_ENTRIES:
            self._until.popitem(last=False)

    def holds(self, request: InferRequest, now: float) -> bool:
        if not self._until:  # the usual case costs nothing
            return False
        key = fingerprint(request)
        until = self._until.get(key)
        if until is not None and until < now:
            del self._until[key]
            return False
        return until is not None


def fingerprint(request: InferRequest) -> bytes:
    """A digest of the tenant, the model and the exact input."""
    digest = hashlib.blake2b(digest_size=16)
    for text in (request.context.principal.tenant, request.model, request.version):
        digest.update(text.encode() + b"\0")
    for tensor in request.payload.tensors:
        digest.update(f"{tensor.name}\0{tensor.datatype}\0{tensor.shape}\0".encode())
        digest.update(tensor.data)
    return digest.digest()


class Retry:
    """The filter. `idempotent` says whether executing a request twice does no harm.

    `has_elsewhere` says whether there is a usable endpoint that a request hasn't been to: asking
    the one that just refused would only add to its load.
    """

    def __init__(
        self,
        budget: Budget,
        poison: Poison,
        idempotent: Callable[[InferRequest], bool],
        has_elsewhere: Callable[[InferRequest], bool],
        clock: Callable[[], float],
    ) -> None:
        self._budget = budget
        self._poison = poison
        self._idempotent = idempotent
        self._has_elsewhere = has_elsewhere
        self._clock = clock
        self.retries = 0

    async def __call__(self, request: InferRequest, service: Service) -> Reply:
        if self._poison.holds(request, self._clock()):
            raise poisonous()
        self._budget.deposit()
        free = True  # a call that no batch held may go elsewhere once without budget
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return await service(request)
            except PenstockError as error:
                now = self._clock()
                if error.kind is Kind.LOST and request.context.suspect:
                    self._poison.add(request, now)
                    raise poisonous() from error
                if attempt == MAX_ATTEMPTS or not self._may_retry(request, error, free, now):
                    raise
                free = free and error.row.retry != "elsewhere"
                self.retries += 1
                context = request.context
                request = replace(
                    request,
                    context=replace(context, suspect=context.suspect or error.kind is Kind.LOST),
                )
        raise AssertionError("the last attempt returns or raises")

    def _may_retry(
        self, request: InferRequest, error: PenstockError, free: bool, now: float
    ) -> bool:
        if now >= request.context.deadline:
            return False
        match error.row.retry:
            case "elsewhere":
                return self._has_elsewhere(request) and (free or self._budget.withdraw(now))
            case "if_idempotent":
                return self._idempotent(request) and self._budget.withdraw(now)
            case "never":
                return False


def poisonous() -> PenstockError:
    return PenstockError(
        Kind.MODEL_FAILED, "this input made its backend crash and is not tried again"
    )
