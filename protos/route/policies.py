"""What a route asks of policies (limits, cache, privacy) and of calls (timeouts, retries)."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from protos.quantities import Duration
from protos.route.match import Pattern
from protos.settings import Settings
from protos.shares import Percentile, PerTime, Share

Mode = Literal["enforce", "observe"]


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than zero")
    return value


Time = Annotated[Duration, AfterValidator(_positive)]
Amount = Annotated[int, Field(ge=1)]


class Budget(Settings):
    """So much in each calendar day or month (UTC); exactly one of what it counts."""

    every: Literal["day", "month"]
    requests: Amount | None = None
    rows: Amount | None = None
    tokens: Amount | None = None
    device_seconds: Amount | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        counted = (self.requests, self.rows, self.tokens, self.device_seconds)
        if sum(each is not None for each in counted) != 1:
            raise ValueError("should have one of requests, rows, tokens and deviceSeconds")
        return self


class Limit(Settings):
    """What each tenant, key or model may use, or all of the route together.

    `requests`, `rows` and `tokens` are rates, held by a token bucket of size `burst`; `concurrency`
    is how many requests may be under way; `budget` is so much a day or month. It holds for the
    `tenants` that are listed. `reserve` is how many tokens an answer may have whose request names
    no maximum. When the shared state can't be reached, `onStateLost` says whether each replica goes
    on with its share or refuses.
    """

    per: Literal["tenant", "key", "model", "route"]
    tenants: tuple[Pattern, ...] = Field(default=("*",), min_length=1)
    requests: PerTime | None = None
    tokens: PerTime | None = None
    rows: PerTime | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None
    budget: Budget | None = None
    burst: Annotated[int, Field(ge=1)] | None = None
    reserve: Amount | None = None
    on_state_lost: Literal["share", "refuse"] = "share"
    mode: Mode = "enforce"

    @model_validator(mode="after")
    def _one(self) -> Self:
        rates = (self.requests, self.tokens, self.rows)
        if sum(each is not None for each in (*rates, self.concurrency, self.budget)) != 1:
            raise ValueError("should have one of requests, tokens, rows, concurrency and budget")
        if self.burst is not None and all(each is None for each in rates):
            raise ValueError("burst goes with requests, tokens or rows")
        tokens = self.tokens or (self.budget and self.budget.tokens)
        if self.reserve is not None and not tokens:
            raise ValueError("reserve goes with tokens")
        return self


class Cache(Settings):
    """Answers kept for `ttl`, for each tenant apart; `coalesce`: equal requests wait for one.

    With `scope: route` all tenants share them. Answers that are drawn by chance (a temperature
    above 0 without a seed) are kept only with `sampled`. The share `verify` of hits is executed
    again, to find out how often a kept answer is wrong.
    """

    ttl: Time
    scope: Literal["tenant", "route"] = "tenant"
    coalesce: bool = True
    sampled: bool = False
    verify: Share = 0.001
    mode: Mode = "enforce"


PolicyName = Annotated[str, Field(min_length=1, max_length=256)]


class Privacy(Settings):
    """What is hidden from the model: a document of kind Privacy, by its name."""

    policy: PolicyName
    mode: Mode = "enforce"


class Output(Settings):
    """What the model may not say: a document of kind Output, by its name."""

    policy: PolicyName
    mode: Mode = "enforce"


class Plugin(Settings):
    """A policy of the entry points `penstock.policies`, by its name, and what it is told."""

    policy: PolicyName
    settings: dict[str, Any] = Field(default_factory=dict)


class Audit(Settings):
    """Which requests are written to the audit log, and the share of them with redacted payloads."""

    requests: Literal["all", "refused", "none"] = "all"
    payloads: Share = 0.0


class Timeouts(Settings):
    """Seconds: for the whole reply, for its first part, and for a client that stops reading."""

    total: Time | None = None
    first_token: Time | None = None
    idle: Time | None = None


class Retries(Settings):
    """Attempts after the first, the share of requests that may be repeated, and hedging.

    `hedgeAfter` sends a second attempt to another endpoint when the first has taken longer than so
    many of the recent ones; the first answer counts. Only for models that say they are idempotent.
    """

    max: int = Field(default=2, ge=0, le=2)
    budget: Share = 0.1
    hedge_after: Percentile | None = None


class Circuit(Settings):
    """What may be in flight to one arm from one worker; beyond it requests are refused at once."""

    max_in_flight: int = Field(default=4096, ge=1)
