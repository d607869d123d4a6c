"""What a route asks of policies (limits, cache, privacy) and of calls (timeouts, retries)."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from protos.quantities import Duration
from protos.settings import Settings
from protos.shares import Percentile, PerTime, Share

Mode = Literal["enforce", "observe"]


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than zero")
    return value


Time = Annotated[Duration, AfterValidator(_positive)]


class Limit(Settings):
    """A token bucket for each tenant, key, model, or one for the route; `burst` is its size."""

    per: Literal["tenant", "key", "model", "route"]
    requests: PerTime | None = None
    tokens: PerTime | None = None
    rows: PerTime | None = None
    burst: Annotated[int, Field(ge=1)] | None = None
    mode: Mode = "enforce"

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.requests, self.tokens, self.rows)) != 1:
            raise ValueError("should have one of requests, tokens and rows")
        return self


class Cache(Settings):
    """Answers kept for `ttl`, for each tenant apart; `coalesce`: equal requests wait for one."""

    ttl: Time
    scope: Literal["tenant", "route"] = "tenant"
    coalesce: bool = True
    mode: Mode = "enforce"


class Privacy(Settings):
    """The privacy policy by name."""

    policy: Annotated[str, Field(min_length=1, max_length=256)]
    mode: Mode = "enforce"


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
