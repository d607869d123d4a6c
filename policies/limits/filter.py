"""Holds requests to their route's limits.

A request is admitted by all limits that enforce or takes from none. Where a limit counts what was
used in the end (tokens, device-seconds, budgets, requests under way), it is told when the reply is
closed, or when there is none.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf

from policies.limits.allowance import ASK, Allowance, LimitId, Make
from policies.limits.amounts import burst, what
from policies.limits.calendar import Every
from policies.limits.limiter import Limiter, LimitName
from protos.errors import Kind, PenstockError
from protos.route.policies import Limit
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply, Service
from protos.values import InferRequest

SNAPSHOTS = 4096  # whose limiters are at hand; beyond that they are looked up anew
ALLOWANCES = 4096  # from so many on it is looked for those that are as good as new
STILL_UNKNOWN = 1.0  # seconds to wait for an answer that even asking didn't bring

# A limit's id, amount and fail mode: another amount is another allowance.
_Key = tuple[LimitId, float, str]
Taken = tuple[Limiter, str, float]  # its key and how much
Spent = Callable[[LimitId, Every, str, float, float], object]


@dataclass(frozen=True, slots=True)
class Limited:
    """The limiters of a route, and whether any of them is told what was used."""

    limiters: tuple[Limiter, ...]
    settles: bool


def _nobody(limit_id: LimitId, every: Every, key: str, used: float, at: float) -> None:
    return None


class Limits:
    """The filter. `make` makes allowances, `clock` is monotonic and `wall` Unix time, in seconds.

    `refused` counts by limit what was refused, or would have been where the mode is `observe`;
    `allowed` what it let pass.
    `spent` is told what was used of budgets: of which and its period, by whom, how much, and when
    they were admitted by `clock`.
    """

    def __init__(
        self,
        make: Make,
        clock: Callable[[], float],
        wall: Callable[[], float],
        spent: Spent = _nobody,
    ) -> None:
        self._make = make
        self._clock = clock
        self._wall = wall
        self._spent = spent
        # A rollout's step or another route's change makes new snapshots of the same limits, whose
        # allowances live on. Which routes are in force doesn't matter: what has been taken is
        # remembered until it is filled up again, even if a route is away meanwhile.
        self._allowances: dict[_Key, Allowance] = {}
        self._most = ALLOWANCES
        self._of_snapshot: dict[RouteSnapshot, Limited] = {}
        self.refused: Counter[LimitName] = Counter()
        self.allowed: Counter[LimitName] = Counter()

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        # Not a coroutine: what the service returns is awaited by the caller, one frame less.
        route = request.context.route
        if route is None or not route.spec.limits:
            return service(request)
        limited = self._of_snapshot.get(route) or self._learn(route)
        if limited.settles:
            return self._settled(request, service, limited)
        if self._admit(request, limited.limiters, self._clock()) is None:
            return self._after_asking(request, service, limited)
        return service(request)

    def _admit(
        self,
        request: InferRequest,
        limiters: tuple[Limiter, ...],
        now: float,
        *,
        asked: bool = False,
    ) -> list[Taken] | None:
        """Takes from all limiters; None if one of them has to ask first.

        Raises RATE_LIMITED with the time to wait, TOO_LARGE for what no waiting helps.
        """
        principal = request.context.principal
        tenant = principal.tenant
        taken: list[Taken] = []
        late: list[tuple[Taken, float]] = []
        for limiter in limiters:
            if limiter.tenants is not None and tenant not in limiter.tenants:
                continue
            key = tenant if limiter.per == "tenant" else limiter.key(request, principal)
            amount = limiter.amount(request) if limiter.weighs else 1.0
            wait = limiter.allowance.wait(key, amount, now) if amount <= limiter.most else inf
            if not wait:
                taken.append((limiter, key, amount))
            elif wait == ASK and not asked:
                return None
            else:
                late.append(((limiter, key, amount), STILL_UNKNOWN if wait < 0 else wait))
        if late:
            self._refuse(request, late, now)
        self._take(request, taken, now)
        return taken

    def _take(self, request: InferRequest, taken: list[Taken], now: float) -> None:
        """Notes what is left of the limit that is nearest to its end."""
        nearest, left, least = None, 0.0, inf
        for limiter, key, amount in taken:
            remains = limiter.allowance.take(key, amount, now)
            self.allowed[limiter.name] += 1
            if limiter.shown and remains * limiter.per_unit < least:
                nearest, left, least = limiter, remains, remains * limiter.per_unit
        if nearest is not None:
            request.context.timeline.quota = nearest.quotas.at(left)

    def _refuse(self, request: InferRequest, late: list[tuple[Taken, float]], now: float) -> None:
        """Counts all, and raises for the limit that takes the longest of those that enforce, or of
        those that no waiting helps for the smallest."""
        for (limiter, _, _), _ in late:
            self.refused[limiter.name] += 1
        enforced = [each for each in late if each[0][0].enforced]
        if not enforced:
            return
        (limiter, key, amount), wait = max(enforced, key=lambda each: (each[1], -each[0][0].most))
        request.context.timeline.refused = "limits"
        if wait == inf:
            raise _never(limiter, amount)
        left = limiter.allowance.left(key, now)
        request.context.timeline.quota = limiter.quotas.at(left, wait)
        raise _refused(limiter, amount, left, wait)

    async def _after_asking(
        self, request: InferRequest, service: Service, limited: Limited
    ) -> Reply:
        await self._ask(request, limited)
        self._admit(request, limited.limiters, self._clock(), asked=True)
        return await service(request)

    async def _ask(self, request: InferRequest, limited: Limited) -> None:
        principal = request.context.principal
        began = self._clock()
        for limiter in limited.limiters:
            if limiter.tenants is not None and principal.tenant not in limiter.tenants:
                continue
            key, amount = limiter.key(request, principal), limiter.amount(request)
            if amount > limiter.most:
                continue
            if limiter.allowance.wait(key, amount, self._clock()) == ASK:
                await limiter.allowance.ask(key, amount)
        request.context.timeline.waited("limits", began, self._clock())

    async def _settled(self, request: InferRequest, service: Service, limited: Limited) -> Reply:
        # Taken in here and not by the caller: a coroutine that never begins has nothing to settle.
        at = self._clock()
        taken = self._admit(request, limited.limiters, at)
        if taken is None:
            await self._ask(request, limited)
            at = self._clock()
            taken = self._admit(request, limited.limiters, at, asked=True) or []
        try:
            reply = await service(request)
        except BaseException as error:
            self._settle(request, taken, at, error)
            raise

        def close() -> None:
            try:
                reply.on_close()
            finally:
                self._settle(request, taken, at, None)

        return Reply(reply.first, reply.rest, close)

    def _settle(
        self, request: InferRequest, taken: list[Taken], at: float, error: BaseException | None
    ) -> None:
        now = self._clock()
        while taken:  # what was settled is gone, should anybody close twice
            limiter, key, amount = taken.pop()
            if not limiter.settles:
                continue
            used = limiter.used(request, amount, error)
            limiter.allowance.settle(key, amount, used, at, now)
            if limiter.every and used:
                self._spent(limiter.limit_id, limiter.every, key, used, at)

    def _learn(self, route: RouteSnapshot) -> Limited:
        if len(self._of_snapshot) >= SNAPSHOTS:
            self._of_snapshot.clear()
        if len(self._allowances) >= self._most:
            self._tidy()
        twins: Counter[str] = Counter()
        found: list[Limiter] = []
        for limit in route.spec.limits:
            limit_id = LimitId(route.name, what(limit), twins[what(limit)])
            twins[limit_id.what] += 1
            found.append(Limiter(limit_id, limit, self._allowance(limit_id, limit), self._wall))
        limited = Limited(tuple(found), any(each.settles for each in found))
        self._of_snapshot[route] = limited
        return limited

    def _allowance(self, limit_id: LimitId, limit: Limit) -> Allowance:
        key = (limit_id, burst(limit), limit.on_state_lost)
        allowance = self._allowances.get(key)
        if allowance is None:
            allowance = self._allowances[key] = self._make(limit_id, limit)
        return allowance

    def _tidy(self) -> None:
        """Forgets allowances that nobody can tell from new ones."""
        now = self._clock()
        self._allowances = {
            key: each for key, each in self._allowances.items() if not each.idle(now)
        }
        # Or a snapshot would go on with an allowance beside the one that others then make anew.
        self._of_snapshot.clear()
        # All of them may be in use; looking again only after as many more keeps it cheap.
        self._most = max(ALLOWANCES, 2 * len(self._allowances))

    def __repr__(self) -> str:
        return f"<Limits {self.refused.total()} refused>"


def _never(limiter: Limiter, amount: float) -> PenstockError:
    if limiter.unit == "tokens":
        what = f"the request may take {amount:.0f} tokens"
    else:
        what = f"the request has {amount:g} {limiter.unit}"
    if limiter.every:
        return PenstockError(
            Kind.TOO_LARGE, f"{what}; the budget of a {limiter.every} is {limiter.most:g}"
        )
    return PenstockError(Kind.TOO_LARGE, f"{what}; at most {limiter.most:g} may come at once")


def _refused(limiter: Limiter, amount: float, left: float, wait: float) -> PenstockError:
    whose = "" if limiter.per == "route" else f" for each {limiter.per}"
    what = "requests under way" if limiter.unit == "concurrency" else limiter.unit
    if not limiter.every:
        message = f"the limit of {what}{whose} is reached"
    elif left < 1:
        message = f"the {limiter.every}'s budget of {what}{whose} is used up"
    else:
        message = (
            f"the {limiter.every}'s budget of {what}{whose} has {int(left)} left,"
            f" and the request may take {amount:g}"
        )
    return PenstockError(Kind.RATE_LIMITED, message, retry_after=wait)
