"""One limit of a route as requests meet it: whom it is for, and what they take of it."""

from collections.abc import Callable
from typing import NamedTuple

from policies.limits.allowance import Allowance, LimitId
from policies.limits.amounts import Unit, burst, executed, reserve, tokens_used, unit
from policies.limits.calendar import Every
from policies.limits.quota import Quotas
from policies.limits.tenants import Tenants
from protos.principal import Principal
from protos.route.policies import Limit
from protos.usage import rows
from protos.values import InferRequest

RESERVE = 512  # tokens of an answer whose request names no maximum


class LimitName(NamedTuple):
    """A limit in metrics: its labels are bounded by what routes say."""

    route: str
    per: str
    counts: str
    mode: str


class Limiter:
    """A limit and the allowance that counts for it.

    `most` is how much a request may take at most; `settles`: whether the allowance is told what was
    used in the end; `shown`: whether clients are told what is left; `every`: a budget's period;
    `tenants`: whom it is for, None for all; `weighs`: whether requests take more or less than one.
    """

    __slots__ = (
        "_reserve",
        "allowance",
        "enforced",
        "every",
        "limit_id",
        "most",
        "name",
        "per",
        "per_unit",
        "quotas",
        "settles",
        "shown",
        "tenants",
        "unit",
        "weighs",
    )

    def __init__(
        self, limit_id: LimitId, limit: Limit, allowance: Allowance, wall: Callable[[], float]
    ) -> None:
        self.limit_id = limit_id
        self.allowance = allowance
        self.unit: Unit = unit(limit)
        self.per = limit.per
        self.every: Every | None = None if limit.budget is None else limit.budget.every
        self.name = LimitName(limit_id.route, limit.per, self.unit, limit.mode)
        self.enforced = limit.mode == "enforce"
        rate = limit.budget is None and limit.concurrency is None
        self.settles = not rate or limit.tokens is not None
        # More than a full bucket has never comes at once. Were it let through, one who asks for
        # endless answers would hold all there is, and pay what they turn out to be.
        self.most = burst(limit)
        self.per_unit = 1.0 / burst(limit)
        self.quotas = Quotas(limit, wall)
        # How many are under way says nothing of what may come next.
        self.shown = self.enforced and limit.concurrency is None
        self._reserve = limit.reserve or RESERVE
        self.tenants = None if "*" in limit.tenants else Tenants(limit.tenants)
        self.weighs = self.unit not in ("requests", "concurrency")

    def key(self, request: InferRequest, principal: Principal) -> str:
        """Whose the request is to the limit."""
        per = self.per
        if per == "tenant":
            return principal.tenant
        if per == "key":
            return f"{principal.issuer}\n{principal.subject}"
        return request.model if per == "model" else ""

    def amount(self, request: InferRequest) -> float:
        """What the request takes of it before it is executed."""
        if self.unit == "rows":
            return float(rows(request.payload))
        if self.unit == "tokens":
            return reserve(request, self._reserve, self.most)
        # What the device will need nobody knows: something must be left.
        return 0.0 if self.unit == "device-seconds" else 1.0

    def used(self, request: InferRequest, taken: float, error: BaseException | None) -> float:
        """What it has used of it when it has ended; what was measured, whatever the error.

        Nothing of a budget where no backend had room for it: budgets are about what was used.
        (Rates of requests and rows, which aren't settled, hold back who asks too often.)
        """
        if self.unit == "concurrency":
            return 0.0
        if self.unit == "device-seconds":
            return request.context.timeline.used.device_seconds
        if self.unit == "tokens":
            return tokens_used(request, taken, error)
        return taken if executed(request, error) else 0.0
