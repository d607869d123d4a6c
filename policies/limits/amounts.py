"""What a limit counts: how much of it a request takes, and what it has used in the end."""

from hashlib import sha256
from typing import Literal

from protos.route.policies import Limit
from protos.shares import Rate
from protos.usage import completion_tokens, prompt_tokens
from protos.values import InferRequest

Unit = Literal["requests", "rows", "tokens", "device-seconds", "concurrency"]


def unit(limit: Limit) -> Unit:
    """What the limit counts."""
    if limit.concurrency is not None:
        return "concurrency"
    counted = limit.budget or limit
    if counted.rows is not None:
        return "rows"
    if counted.tokens is not None:
        return "tokens"
    return "requests" if counted.requests is not None else "device-seconds"


def rate_of(limit: Limit) -> Rate:
    """The rate of a limit by requests, rows or tokens in a time; ValueError for the others."""
    rate = limit.requests or limit.rows or limit.tokens
    if rate is None:
        raise ValueError("concurrency and budgets have no rate")
    return rate


def burst(limit: Limit) -> float:
    """How much may come at once: what is written, or what a rate has for one period.

    Of a budget all there is.
    """
    budget = limit.budget
    if budget is not None:
        amounts = (budget.requests, budget.rows, budget.tokens, budget.device_seconds)
        return float(next(each for each in amounts if each is not None))
    if limit.concurrency is not None:
        return float(limit.concurrency)
    return float(limit.burst) if limit.burst else max(1.0, rate_of(limit).amount)


def what(limit: Limit) -> str:
    """The limit in `LimitId`: a digest of what its counts depend on."""
    if limit.budget is not None:
        return f"{limit.per}/{unit(limit)}/{limit.budget.every}"
    if limit.concurrency is not None:
        return f"{limit.per}/concurrency"
    text = f"{rate_of(limit)} {burst(limit):g}"
    return f"{limit.per}/{unit(limit)}/{sha256(text.encode()).hexdigest()[:12]}"


def reserve(request: InferRequest, default: int) -> float:
    """The tokens that a request may use: its prompt's, about, and the most of its answer."""
    payload = request.payload
    return prompt_tokens(payload) + completion_tokens(payload, request.parameters, default)


def tokens_used(request: InferRequest, reserved: float, *, failed: bool) -> float:
    """The tokens that a request has used when it has ended, one that a backend was asked for.

    A stream that was cut has used what came of it. Where nothing is known, a failure has used its
    prompt, or it would be free to have long ones read, and an answer what was reserved.
    """
    used = request.context.timeline.used
    if used.prompt_tokens or used.completion_tokens:
        return used.prompt_tokens + used.completion_tokens
    return min(reserved, float(prompt_tokens(request.payload))) if failed else reserved
