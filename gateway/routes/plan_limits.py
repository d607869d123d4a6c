"""Which limits of other routes would have refused recorded requests, and how many."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policies.limits.amounts import burst, rate_of, unit
from policies.limits.buckets import Buckets
from policies.limits.tenants import Tenants
from protos.route.policies import Limit, Mode
from protos.route.snapshot import RouteSnapshot
from routing.backtest.tally import Tally, scaled
from routing.decisions import SUBJECT, Decision
from routing.evidence.interval import Interval


@dataclass(frozen=True, slots=True)
class Firing:
    """A limit of a route, by its place there from 0; `refused` and `by_tenant` in requests a
    second, the largest first. In the mode `observe` it would only have been counted.

    `undetermined` are requests a second of which the bucket isn't known: they are neither counted
    nor taken from it.
    """

    route: str
    index: int
    per: str
    limit: str
    mode: Mode
    refused: Interval
    undetermined: Interval
    by_tenant: Mapping[str, Interval]


class _Limit:
    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.tenants = Tenants(limit.tenants)
        self.burst = burst(limit)
        replayed = limit.requests is not None or limit.rows is not None
        self.buckets = Buckets(rate_of(limit).per_second, self.burst) if replayed else None
        self.refused: dict[str, Tally] = defaultdict(Tally)
        self.undetermined = Tally()

    def knows(self, decision: Decision) -> bool:
        """Whether the record tells what the limit makes of the request.

        Where a route is sticky by something else than the subject, that is what its records have:
        a tenant's unit would be one bucket for all of its keys. Records have no tokens and don't
        tell what was under way, and a month is longer than they are kept.
        """
        if self.buckets is None:
            return False
        return self.limit.per != "key" or decision.key == SUBJECT or self._never_fits(decision)

    def key(self, decision: Decision) -> str:
        match self.limit.per:
            case "tenant":
                return decision.tenant
            case "key":
                return decision.user.hex()
            case "model":
                return decision.model
            case _:
                return ""

    def amount(self, decision: Decision) -> float:
        """What the record stands for in the bucket.

        Of a bucket of its own user a record that was kept with all others is one request; in the
        others it stands for those of the users that were left out.
        """
        own = float(decision.rows) if self.limit.rows else 1.0
        if self.limit.per == "key" and decision.whole:
            return own
        return own * decision.weight

    def admitted(self, decision: Decision) -> float:
        """The share of what the record stands for that the bucket has room for."""
        if self._never_fits(decision):
            return 0.0
        amount = self.amount(decision)
        if not amount or self.buckets is None:
            return 1.0
        level = self.buckets.left(self.key(decision), decision.at)
        return min(1.0, max(0.0, level) / amount)

    def _never_fits(self, decision: Decision) -> bool:
        return self.limit.rows is not None and decision.rows > self.burst


class LimitReplay:
    """Takes records in the order of time with the routes that they would have."""

    def __init__(self) -> None:
        self._limits: dict[str, Sequence[tuple[int, _Limit]]] = {}

    def add(self, decision: Decision, route: RouteSnapshot) -> None:
        known: list[tuple[_Limit, float]] = []  # with the share that it admits
        for _, limit in self._of(route):
            if decision.tenant not in limit.tenants:
                continue
            if limit.knows(decision):
                known.append((limit, limit.admitted(decision)))
            else:
                limit.undetermined.add(decision, 1.0)
        enforced = [share for each, share in known if each.limit.mode == "enforce"]
        passed = min(enforced, default=1.0)  # what one refuses takes nothing from the others
        for each, share in known:
            taken = passed if each.limit.mode == "enforce" else min(share, passed)
            if taken and each.buckets is not None:
                each.buckets.take(each.key(decision), taken * each.amount(decision), decision.at)
            if share < 1.0:
                each.refused[decision.tenant].add(decision, 1.0 - share)

    def _of(self, route: RouteSnapshot) -> Sequence[tuple[int, _Limit]]:
        limits = self._limits.get(route.name)
        if limits is None:
            limits = self._limits[route.name] = [
                (index, _Limit(limit)) for index, limit in enumerate(route.spec.limits)
            ]
        return limits

    def firings(self, seconds: float) -> list[Firing]:
        """All limits of the routes that were asked for, whether they fired or not."""
        return [
            _firing(route, index, each, seconds)
            for route, limits in sorted(self._limits.items())
            for index, each in limits
        ]


def _firing(route: str, index: int, each: _Limit, seconds: float) -> Firing:
    tenants = {tenant: scaled(tally.total(), 1 / seconds) for tenant, tally in each.refused.items()}
    return Firing(
        route,
        index,
        each.limit.per,
        _said(each.limit),
        each.limit.mode,
        _together(tenants),
        scaled(each.undetermined.total(), 1 / seconds),
        dict(sorted(tenants.items(), key=lambda item: item[1].estimate, reverse=True)),
    )


def _together(parts: Mapping[str, Interval]) -> Interval:
    """The sum of what was estimated of different users."""
    estimate = sum(each.estimate for each in parts.values())
    below = sum((each.estimate - each.low) ** 2 for each in parts.values()) ** 0.5
    above = sum((each.high - each.estimate) ** 2 for each in parts.values()) ** 0.5
    return Interval(estimate, estimate - below, estimate + above)


def _said(limit: Limit) -> str:
    whom = "" if "*" in limit.tenants else f" for {', '.join(limit.tenants)}"
    if limit.concurrency is not None:
        return f"{limit.concurrency} under way{whom}"
    if limit.budget is not None:
        return f"{burst(limit):g} {unit(limit)} a {limit.budget.every}{whom}"
    return f"{rate_of(limit)} {unit(limit)}, {burst(limit):g} at once{whom}"
