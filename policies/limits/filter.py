"""Holds requests to their route's limits: so many requests or rows in a time, with bursts.

Each limit is a token bucket for each tenant, key, model, or for the route. A request is admitted by
all limits that enforce or takes from none. A worker admits its share of each limit, so that the
limit holds over all of them; a bucket has room for one request at least. Limits by tokens belong to
language models, and count nothing here.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import NamedTuple

from protos.errors import Kind, PenstockError
from protos.route.policies import Limit
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply, Service
from protos.shares import Rate
from protos.values import InferRequest

BUCKETS = 10_000  # of one limit; beyond that the fullest are forgotten, and are then full
_ROUNDING = 1e-6  # seconds; sums of times are not exact
SNAPSHOTS = 4096  # whose limiters are at hand; beyond that they are looked up anew
LIMITERS = 4096  # from so many on it is looked for those that are as good as new


class Buckets:
    """Token buckets by key, each full at first; `rate` in tokens a second, `size` in tokens.

    Of a bucket only the time is kept at which it will be full again, as in the generic cell rate
    algorithm (ITU-T I.371): a bucket that is full is as good as none, and can be forgotten. `now`
    is in seconds.
    """

    __slots__ = ("_all_full_at", "_full_at", "_rate", "_seconds")

    def __init__(self, rate: float, size: float) -> None:
        self._rate = rate
        self._seconds = size / rate  # from empty to full
        self._full_at: dict[object, float] = {}
        self._all_full_at = -inf

    def wait(self, key: object, amount: float, now: float) -> float:
        """Seconds until `amount` can be taken, 0 if it can be now.

        More than a full bucket has is taken from a full one, which then is in debt.
        """
        needed = amount / self._rate
        filling = self._full_at.get(key, now) - now
        wait = filling if needed >= self._seconds else filling + needed - self._seconds
        return wait if wait > _ROUNDING else 0.0

    def take(self, key: object, amount: float, now: float) -> None:
        """Takes tokens; `wait` says when that is right."""
        full = self._full_at.get(key)
        if full is None and len(self._full_at) >= BUCKETS:
            self._forget(now)
        if full is None or full < now:
            full = now
        self._full_at[key] = full = full + amount / self._rate
        self._all_full_at = max(self._all_full_at, full)

    def level(self, key: object, now: float) -> float:
        """The tokens in a bucket; less than 0 in debt."""
        filling = max(0.0, self._full_at.get(key, now) - now)
        return (self._seconds - filling) * self._rate

    def full(self, now: float) -> bool:
        """Whether all are: then these are as good as new ones."""
        return self._all_full_at <= now

    def _forget(self, now: float) -> None:
        """Buckets that are full, or if there are few of those, the fullest."""
        kept = sorted((at, id_) for id_, (_, at) in enumerate(self._full_at.items()) if at > now)
        keep = {id_ for _, id_ in kept[-(BUCKETS * 9 // 10) :]}
        self._full_at = {
            key: at for id_, (key, at) in enumerate(self._full_at.items()) if id_ in keep
        }

    def __len__(self) -> int:
        return len(self._full_at)


class LimitName(NamedTuple):
    """A limit in metrics: its labels are bounded by what routes say."""

    route: str
    per: str
    counts: str  # requests or rows
    mode: str


class Limiter:
    """One limit. `share` is the part of it that is admitted here."""

    __slots__ = ("buckets", "burst", "by_rows", "enforced", "name", "per")

    def __init__(self, route: str, limit: Limit, share: float) -> None:
        rate = counted(limit)
        self.name = LimitName(route, limit.per, "rows" if limit.rows else "requests", limit.mode)
        self.enforced = limit.mode == "enforce"
        self.by_rows = limit.rows is not None
        self.burst = burst(limit)
        self.per = limit.per
        self.buckets = Buckets(rate.per_second * share, max(1.0, self.burst * share))


class Limits:
    """The filter. `share` is the part of each limit that this worker admits, `clock` in seconds.

    `refused` counts by limit what was refused, or would have been where the mode is `observe`.
    """

    def __init__(self, share: float, clock: Callable[[], float]) -> None:
        self._share = share
        self._clock = clock
        # A rollout's step or another route's change makes new snapshots of the same limits, whose
        # buckets live on. Which routes are in force doesn't matter: what has been taken is
        # remembered until it is filled up again, even if a route is away meanwhile.
        self._limiters: dict[tuple[str, Limit, int], Limiter] = {}
        self._most = LIMITERS
        self._of_snapshot: dict[RouteSnapshot, Sequence[Limiter]] = {}
        self.refused: Counter[LimitName] = Counter()

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        # Not a coroutine: what the service returns is awaited by the caller, one frame less.
        route = request.context.route
        if route is not None and route.spec.limits:
            self._admit(request, self._of_snapshot.get(route) or self._learn(route))
        return service(request)

    def _admit(self, request: InferRequest, limiters: Sequence[Limiter]) -> None:
        """Raises RATE_LIMITED with the time to wait, TOO_LARGE for what no waiting helps."""
        now = self._clock()
        principal = request.context.principal
        taken: list[tuple[Buckets, object, float]] = []
        refusal: Limiter | None = None
        longest = 0.0
        for limiter in limiters:
            per = limiter.per
            key: object
            if per == "tenant":
                key = principal.tenant
            elif per == "key":
                key = principal.issuer, principal.subject
            else:
                key = request.model if per == "model" else ""
            amount = float(rows(request)) if limiter.by_rows else 1.0
            buckets = limiter.buckets
            wait = buckets.wait(key, amount, now) if amount <= limiter.burst else inf
            if not wait:
                taken.append((buckets, key, amount))
                continue
            self.refused[limiter.name] += 1
            if limiter.enforced and wait > longest:
                refusal, longest = limiter, wait
        if refusal is not None:
            raise _refused(request, refusal, longest)
        for buckets, key, amount in taken:
            buckets.take(key, amount, now)

    def _learn(self, route: RouteSnapshot) -> Sequence[Limiter]:
        if len(self._of_snapshot) >= SNAPSHOTS:
            self._of_snapshot.clear()
        if len(self._limiters) >= self._most:
            self._tidy()
        found: list[Limiter] = []
        for index, limit in enumerate(route.spec.limits):
            if limit.tokens is not None:
                continue
            twin = route.spec.limits[:index].count(limit)
            key = (route.name, limit, twin)
            limiter = self._limiters.get(key)
            if limiter is None:
                limiter = self._limiters[key] = Limiter(route.name, limit, self._share)
            found.append(limiter)
        limiters = self._of_snapshot[route] = tuple(found)
        return limiters

    def _tidy(self) -> None:
        """Forgets limiters that nobody can tell from new ones."""
        now = self._clock()
        self._limiters = {
            key: limiter for key, limiter in self._limiters.items() if not limiter.buckets.full(now)
        }
        # Or a snapshot would go on with a limiter beside the one that others then make anew.
        self._of_snapshot.clear()
        # All of them may be in use; looking again only after as many more keeps it cheap.
        self._most = max(LIMITERS, 2 * len(self._limiters))

    def __repr__(self) -> str:
        return f"<Limits {self.refused.total()} refused>"


def counted(limit: Limit) -> Rate:
    """The rate that a limit is about."""
    rate = limit.requests or limit.rows or limit.tokens
    if rate is None:
        raise ValueError("a limit has one of requests, tokens and rows")
    return rate


def burst(limit: Limit) -> float:
    """How much may come at once: what is written, or what the rate has for one period."""
    return float(limit.burst) if limit.burst else max(1.0, counted(limit).amount)


def rows(request: InferRequest) -> int:
    """The largest dimension 0 of the tensors, at least 1.

    In a batch all have the same. Otherwise neither their order, which is the client's, nor an empty
    one must make a request smaller.
    """
    return max([1, *[tensor.shape[0] for tensor in request.payload.tensors if tensor.shape]])


def _refused(request: InferRequest, limiter: Limiter, wait: float) -> PenstockError:
    what = limiter.name.counts
    if wait == inf:
        return PenstockError(
            Kind.TOO_LARGE,
            f"the request has {rows(request)} rows; at most {limiter.burst:g} may come at once",
        )
    return PenstockError(
        Kind.RATE_LIMITED,
        f"the limit of {what} for each {limiter.name.per} is reached"
        if limiter.name.per != "route"
        else f"the limit of {what} is reached",
        retry_after=wait,
    )
