"""What requests take of limits, and what they have used in the end."""

import asyncio

import pytest

from policies.limits.calendar import Every
from policies.limits.filter import Limits
from policies.limits.local import Local
from protos.errors import Kind, PenstockError
from protos.route.policies import Limit
from protos.service import Reply, Service
from protos.values import Chat, InferRequest, Part, Tensors
from tests.policies.limits.endings import (
    CHUNK,
    PROMPT,
    answering,
    chat,
    failing,
    left,
    use,
)
from tests.policies.limits.limited import (
    REPLY,
    Clock,
    admitted,
    limit,
    limits_by,
    refusal,
    replied,
    request,
    route,
    service,
)


@pytest.fixture
def tokens() -> tuple[Limits, InferRequest]:
    of = route(limit(tokens="1k/1d"))
    return limits_by(Clock()), chat(of)


@pytest.mark.parametrize(
    ("by", "parts", "used"),
    [
        (answering({"usage": {"prompt_tokens": 12, "completion_tokens": 7}}), 1, 19),
        (answering(CHUNK, CHUNK, {"usage": {"prompt_tokens": 12, "completion_tokens": 2}}), 9, 14),
        (answering(CHUNK, CHUNK, CHUNK, CHUNK), 9, PROMPT + 4),
        (answering(CHUNK, CHUNK, CHUNK, CHUNK), 2, PROMPT + 2),  # the client went away
        (failing(PenstockError(Kind.OVERLOADED, "full")), 0, 0),
        (failing(PenstockError(Kind.INVALID, "wrong")), 0, 0),
        (failing(PenstockError(Kind.FORBIDDEN, "blocked"), asked=False), 0, 0),
        (failing(PenstockError(Kind.LOST, "lost")), 0, PROMPT),
        (failing(PenstockError(Kind.CANCELLED, "gone")), 0, PROMPT),
        (failing(RuntimeError()), 0, PROMPT),
        (failing(asyncio.CancelledError()), 0, PROMPT),
        (failing(asyncio.CancelledError(), asked=False), 0, 0),
        (service, 1, 0),  # nobody was asked: a kept answer
    ],
)
def test_tokens_are_reserved_and_paid_as_they_were_used(
    tokens: tuple[Limits, InferRequest], by: Service, parts: int, used: int
) -> None:
    limits, given = tokens
    use(limits, given, by, parts)
    assert left(limits) == pytest.approx(1000 - used)


def test_until_the_end_the_most_is_reserved_that_the_request_may_use(
    tokens: tuple[Limits, InferRequest],
) -> None:
    limits, given = tokens
    reply = replied(limits, given, answering(CHUNK, CHUNK))
    assert left(limits) == 1000 - PROMPT - 50
    reply.on_close()
    reply.on_close()
    assert left(limits) == pytest.approx(1000 - PROMPT - 1)


def test_an_answer_that_tells_nothing_has_used_what_was_reserved() -> None:
    limits, of = limits_by(Clock()), route(limit(tokens="1k/1d", reserve=70))

    async def silent(given: InferRequest) -> Reply:
        given.context.timeline.began = 1.0
        return Reply(Part(Tensors(()), "1", {}, True))

    use(limits, request(of), silent)
    assert left(limits) == 930


def spending(of: Limit) -> tuple[Limits, list[tuple[str, Every, str, float, float]]]:
    clock, told = Clock(), []
    limits = Limits(
        Local(clock.wall),
        clock,
        clock.wall,
        lambda limit_id, *more: told.append((str(limit_id), *more)),
    )
    return limits, told


@pytest.mark.parametrize(
    ("budget", "unit", "by", "used"),
    [
        ({"requests": 10}, "requests", service, 1.0),
        ({"requests": 10}, "requests", failing(PenstockError(Kind.OVERLOADED, "full")), None),
        ({"requests": 10}, "requests", failing(PenstockError(Kind.LOST, "lost")), 1.0),
        ({"rows": 10}, "rows", service, 3.0),
        ({"tokens": 9000}, "tokens", answering({"usage": {"prompt_tokens": 8}}), 8.0),
        ({"deviceSeconds": 9}, "device-seconds", answering({}, compute_us=250_000), 0.25),
    ],
)
def test_what_was_used_of_a_budget_is_told(
    budget: dict[str, int], unit: str, by: Service, used: float | None
) -> None:
    limited = limit(budget={"every": "month", **budget})
    limits, told = spending(limited)
    use(limits, request(route(limited), rows=3), by)
    place = (f"fraud/tenant/{unit}/month/0", "month", "acme")
    assert told == ([] if used is None else [(*place, used, 1000.0)])


def test_a_budget_of_device_seconds_is_over_when_they_are_used() -> None:
    of = route(limit(budget={"every": "day", "deviceSeconds": 1}))
    limits, by = limits_by(Clock()), answering({}, compute_us=400_000)
    for _ in range(3):
        use(limits, request(of), by)
    error = refusal(limits, request(of))
    assert error.message == "the day's budget of device-seconds for each tenant is used up"
    assert error.retry_after == pytest.approx(43_200)


def test_a_budget_says_what_is_left_of_it() -> None:
    of = route(limit(per="route", budget={"every": "month", "rows": 100}))
    limits = limits_by(Clock())
    assert admitted(limits, request(of, rows=60))
    error = refusal(limits, request(of, rows=50))
    assert error.message == ("the month's budget of rows has 40 left, and the request may take 50")
    assert refusal(limits, request(of, rows=101)).message == (
        "the request has 101 rows; the budget of a month is 100"
    )


def asking_for(most: object, tenant: str = "acme") -> InferRequest:
    body = {"messages": [{"content": "x" * 4 * PROMPT}]}
    payload = Chat(body if most is None else {**body, "max_tokens": most})
    return request(SHARED, tenant=tenant, payload=payload)


SHARED = route(limit(per="model", tokens="1k/1m"), limit(tokens="100/1m"))


def test_what_is_more_than_a_full_bucket_has_is_refused_for_good() -> None:
    limits = limits_by(Clock())
    error = refusal(limits, asking_for(10**9))
    assert (error.kind, error.retry_after) == (Kind.TOO_LARGE, None)
    assert error.message == ("the request may take 1000000010 tokens; at most 100 may come at once")
    assert admitted(limits, asking_for(90))


def test_who_asks_for_endless_answers_holds_nothing_of_what_all_share() -> None:
    limits = limits_by(Clock())
    for _ in range(20):
        with pytest.raises(PenstockError):
            replied(limits, asking_for(10**6, "hog"))
    held = replied(limits, asking_for(90, "hog"))
    for number in range(9):
        assert replied(limits, asking_for(90, f"tenant {number}"))
    assert not admitted(limits, asking_for(90, "one more"))
    held.on_close()


def test_who_names_no_maximum_is_not_refused_for_what_is_reserved_instead() -> None:
    limits = limits_by(Clock())
    reply = replied(limits, asking_for(None))
    assert not admitted(limits, asking_for(1))
    reply.on_close()
    assert admitted(limits, asking_for(None))
    long = Chat({"messages": [{"content": "x" * 800}]})
    assert refusal(limits, request(SHARED, payload=long)).kind is Kind.TOO_LARGE


BLOCKED = PenstockError(Kind.FORBIDDEN, "the output policy refuses what the model says")
UNJUDGED = PenstockError(Kind.UNAVAILABLE, "the classifier doesn't answer")


def refused_after(by: Service, error: Exception) -> Service:
    """What a policy does that finds fault with the answer."""

    async def refuse(given: InferRequest) -> Reply:
        await by(given)
        raise error

    return refuse


@pytest.mark.parametrize("error", [BLOCKED, UNJUDGED], ids=["blocked", "unjudged"])
@pytest.mark.parametrize(
    ("limited", "used"),
    [
        (limit(tokens="1k/1d"), 19),
        (limit(budget={"every": "day", "tokens": 1000}), 19),
        (limit(budget={"every": "day", "requests": 1000}), 1),
        (limit(budget={"every": "day", "deviceSeconds": 1000}), 0.25),
    ],
)
def test_an_answer_that_is_refused_afterwards_was_used(
    limited: Limit, used: float, error: PenstockError
) -> None:
    limits = limits_by(Clock())
    usage = {"usage": {"prompt_tokens": 12, "completion_tokens": 7}}
    by = refused_after(answering(usage, compute_us=250_000), error)
    use(limits, chat(route(limited)), by)
    assert left(limits) == pytest.approx(1000 - used)


def test_an_answer_of_unknown_size_that_is_refused_has_used_what_was_reserved(
    tokens: tuple[Limits, InferRequest],
) -> None:
    async def silent(given: InferRequest) -> Reply:
        given.context.timeline.began = given.context.timeline.answered = 1.0
        return Reply(Part(Tensors(()), "1", {}, True))

    limits, given = tokens
    use(limits, given, refused_after(silent, BLOCKED))
    assert left(limits) == 1000 - PROMPT - 50


def test_who_takes_over_anothers_execution_pays_what_was_measured_of_it(
    tokens: tuple[Limits, InferRequest],
) -> None:
    async def shared(given: InferRequest) -> Reply:
        timeline = given.context.timeline
        timeline.cache = "coalesced"
        timeline.used.prompt_tokens, timeline.used.completion_tokens = 12, 7
        return REPLY

    limits, given = tokens
    use(limits, given, shared)
    assert left(limits) == pytest.approx(1000 - 19)
