"""What limits count that only the end of a request tells, on every one of its endings."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.limits.allowance import ASK, Allowance, LimitId
from policies.limits.buckets import Buckets
from policies.limits.calendar import Every
from policies.limits.filter import Limits
from policies.limits.local import Local
from protos.errors import Kind, PenstockError
from protos.route.policies import Limit
from protos.service import Reply, Service
from protos.usage import measure
from protos.values import Chat, InferRequest, Part, Tensors
from tests.policies.limits.limited import (
    REPLY,
    Clock,
    admitted,
    limit,
    limits_at,
    refusal,
    replied,
    request,
    route,
    service,
)

PROMPT = 10  # tokens of the prompt, estimated
CHAT = Chat({"messages": [{"content": "x" * 4 * PROMPT}], "max_tokens": 50})


def chat(of, **more):
    return request(of, payload=CHAT, **more)


def answering(*bodies: dict[str, object], compute_us: int = 0) -> Service:
    """A backend whose reply has these parts, measured as the exchange does it."""
    parts = [
        Part(Chat(body), "1", {}, body is bodies[-1], compute_us=compute_us, batch_rows=1)
        for body in bodies
    ]

    async def answer(request: InferRequest) -> Reply:
        timeline = request.context.timeline
        timeline.began = 1.0
        measure(timeline.used, request, parts[0])

        async def rest() -> AsyncIterator[Part]:
            for part in parts[1:]:
                measure(timeline.used, request, part)
                yield part

        return Reply(parts[0], rest() if parts[1:] else None)

    return answer


def failing(error: BaseException, *, asked: bool = True) -> Service:
    async def fail(request: InferRequest) -> Reply:
        request.context.timeline.began = 1.0 if asked else 0.0
        raise error

    return fail


def use(limits: Limits, given: InferRequest, by: Service, parts: int = 100) -> None:
    """Asks, reads so many parts and closes; failures are as good as answers here."""

    async def read() -> None:
        try:
            reply = await limits(given, by)
        except (PenstockError, asyncio.CancelledError, RuntimeError):
            return
        if reply.rest is not None:
            for _ in range(parts - 1):
                if await anext(reply.rest, None) is None:
                    break
        reply.on_close()

    asyncio.run(read())


def left(limits: Limits, key: str = "acme") -> float:
    (allowance,) = limits._allowances.values()
    return allowance.left(key, limits._clock())


@pytest.fixture
def tokens() -> tuple[Limits, InferRequest]:
    of = route(limit(tokens="1k/1d"))
    return limits_at(1.0, Clock()), chat(of)


CHUNK = {"choices": [{"delta": {"content": "x"}}]}


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
    limits, of = limits_at(1.0, Clock()), route(limit(tokens="1k/1d", reserve=70))

    async def silent(given: InferRequest) -> Reply:
        given.context.timeline.began = 1.0
        return Reply(Part(Tensors(()), "1", {}, True))

    use(limits, request(of), silent)
    assert left(limits) == 930


def test_requests_of_more_tokens_than_a_bucket_has_pay_afterwards() -> None:
    limits, of = limits_at(1.0, Clock()), route(limit(tokens="20/1s"))
    usage = {"usage": {"prompt_tokens": 10, "completion_tokens": 50}}
    use(limits, chat(of), answering(usage))
    error = refusal(limits, chat(of))
    assert error.message == "the limit of tokens for each tenant is reached"
    assert error.retry_after == pytest.approx(3.0)


@pytest.mark.parametrize(
    "by",
    [
        answering(CHUNK, CHUNK),
        answering({}),
        failing(PenstockError(Kind.OVERLOADED, "full")),
        failing(PenstockError(Kind.LOST, "lost")),
        failing(RuntimeError()),
        failing(asyncio.CancelledError()),
    ],
)
def test_a_slot_is_free_after_every_ending(by: Service) -> None:
    limits, of = limits_at(1.0, Clock()), route(limit(concurrency=1))
    for _ in range(3):
        use(limits, chat(of), by, parts=1)
    assert left(limits) == 1
    assert admitted(limits, chat(of))


def test_a_stream_holds_its_slot_until_it_is_closed() -> None:
    limits, of = limits_at(1.0, Clock()), route(limit(concurrency=1))
    reply = replied(limits, chat(of), answering(CHUNK, CHUNK))
    error = refusal(limits, chat(of))
    assert error.message == "the limit of requests under way for each tenant is reached"
    assert error.retry_after == 1.0
    reply.on_close()
    assert admitted(limits, chat(of))


def test_a_task_that_is_cancelled_frees_its_slot() -> None:
    limits, of = limits_at(1.0, Clock()), route(limit(concurrency=1))

    async def cancelled() -> None:
        begun = asyncio.Event()

        async def hang(given: InferRequest) -> Reply:
            begun.set()
            await asyncio.Event().wait()
            return REPLY

        async def ask() -> Reply:
            return await limits(chat(of), hang)

        asking = asyncio.create_task(ask())
        await begun.wait()
        assert left(limits) == 0
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(cancelled())
    assert left(limits) == 1


def test_closing_frees_the_slot_though_the_reply_below_fails_to_close() -> None:
    limits, of = limits_at(1.0, Clock()), route(limit(concurrency=1))

    def broken() -> None:
        raise RuntimeError("broken")

    async def answer(given: InferRequest) -> Reply:
        return Reply(REPLY.first, None, broken)

    with pytest.raises(RuntimeError):
        replied(limits, chat(of), answer).on_close()
    assert left(limits) == 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.sampled_from("ab")), max_size=40))
def test_no_order_of_beginnings_and_endings_leaks_anything(
    steps: list[tuple[bool, int, str]],
) -> None:
    of = route(limit(concurrency=3), limit(tokens="1M/1s"), limit(per="route", concurrency=4))
    clock = Clock()
    limits = limits_at(1.0, clock)
    open_: list[Callable[[], None]] = []
    for begins, which, tenant in steps:
        if begins:
            try:
                open_.append(replied(limits, chat(of, tenant=tenant), answering(CHUNK)).on_close)
            except PenstockError:
                assert len(open_) >= 3
        elif open_:
            open_.pop(which % len(open_))()
    for close in open_:
        close()
    clock.now += 1.0
    assert all(each.idle(clock.now) for each in limits._allowances.values())


def spending(of: Limit) -> tuple[Limits, list[tuple[str, Every, str, float, float]]]:
    clock, told = Clock(), []
    limits = Limits(
        Local(1.0, clock.wall),
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
    limits, by = limits_at(1.0, Clock()), answering({}, compute_us=400_000)
    for _ in range(3):
        use(limits, request(of), by)
    error = refusal(limits, request(of))
    assert error.message == "the day's budget of device-seconds for each tenant is used up"
    assert error.retry_after == pytest.approx(43_200)


def test_a_budget_says_what_is_left_of_it() -> None:
    of = route(limit(per="route", budget={"every": "month", "rows": 100}))
    limits = limits_at(1.0, Clock())
    assert admitted(limits, request(of, rows=60))
    error = refusal(limits, request(of, rows=50))
    assert error.message == ("the month's budget of rows has 40 left, and the request may take 50")
    assert refusal(limits, request(of, rows=101)).message == (
        "the request has 101 rows; the budget of a month is 100"
    )


class Asked(Buckets):
    """Counts elsewhere: knows nothing of a key until it has asked."""

    __slots__ = ("asked", "known", "silent")

    def __init__(self) -> None:
        super().__init__(1.0, 2.0)
        self.asked: list[str] = []
        self.known: set[str] = set()
        self.silent = False

    def wait(self, key: str, amount: float, now: float) -> float:
        return super().wait(key, amount, now) if key in self.known else ASK

    async def ask(self, key: str, amount: float) -> None:
        await asyncio.sleep(0)
        self.asked.append(key)
        if not self.silent:
            self.known.add(key)


def asking(*allowances: Allowance) -> Limits:
    clock, left = Clock(), list(allowances)

    def make(limit_id: LimitId, of: Limit) -> Allowance:
        return left.pop(0)

    return Limits(make, clock, clock.wall)


def test_an_allowance_that_doesnt_know_is_asked_once_before_anything_is_taken() -> None:
    known, unknown = Buckets(1.0, 5.0), Asked()
    limits = asking(known, unknown)
    of = route(limit(requests="1/s", burst=5), limit(requests="1/s", burst=2))
    assert [admitted(limits, request(of)) for _ in range(3)] == [True, True, False]
    assert unknown.asked == ["acme"]
    assert known.left("acme", 1000.0) == 3.0


def test_who_gets_no_answer_about_a_limit_is_refused() -> None:
    unknown = Asked()
    unknown.silent = True
    error = refusal(asking(unknown), request(route(limit(requests="1/s"))))
    assert error.kind is Kind.RATE_LIMITED
    assert error.retry_after == 1.0
