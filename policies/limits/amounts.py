"""What a limit counts: how much of it a request takes, and what it has used in the end."""

from hashlib import sha256
from typing import Literal

from protos.errors import Kind, PenstockError
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


def reserve(request: InferRequest, default: int, most: float) -> float:
    """The tokens that a request may use: its prompt's, about, and the most of its answer.

    Where it names no maximum, `default` for each answer, but no more than `most` has room for:
    that nobody asked for so much is no reason to refuse it.
    """
    payload = request.payload
    prompt = prompt_tokens(payload)
    room = max(0, int(min(default, most - prompt)))
    return float(prompt + completion_tokens(payload, request.parameters, room))


def tokens_used(request: InferRequest, reserved: float, error: BaseException | None) -> float:
    """The tokens that a request has used when it has ended, however that was.

    What was measured is used, whoever refused the answer afterwards; a stream that was cut has used
    what came of it. Where nothing was measured, an answer has used what was reserved, what a
    backend found wrong nothing, and any other failure its prompt, or it would be free to have long
    ones read.
    """
    timeline = request.context.timeline
    measured = timeline.prompt_tokens + timeline.completion_tokens
    if measured:
        return float(measured)
    if not timeline.began:
        return 0.0
    if error is None or timeline.answered:
        return reserved
    return 0.0 if _refused(error) else min(reserved, float(prompt_tokens(request.payload)))


def executed(request: InferRequest, error: BaseException | None) -> bool:
    """Whether a backend may have done something for the request, rather than had no room for it."""
    timeline = request.context.timeline
    if timeline.answered or timeline.used.device_seconds or timeline.used.completion_tokens:
        return True
    return not (isinstance(error, PenstockError) and error.row.retry == "elsewhere")


def _refused(error: BaseException) -> bool:
    """Whether a backend refused the request, rather than nobody knowing what became of it."""
    if not isinstance(error, PenstockError) or error.kind is Kind.CANCELLED:
        return False
    return error.row.fault == "client" or error.row.retry == "elsewhere"
