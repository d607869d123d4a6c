"""Allowances that are counted elsewhere, and have to ask."""

import asyncio

from policies.limits.allowance import ASK, Allowance, LimitId
from policies.limits.buckets import Buckets
from policies.limits.filter import Limits
from protos.errors import Kind
from protos.route.policies import Limit
from tests.policies.limits.limited import Clock, admitted, limit, refusal, request, route


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
