"""Retries beside what a budget promises: a share of the requests, and a reserve that refills."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from routing.retry import MOST_LOST, RESERVE, Budget
from tests.many_times import LIMIT, bounded

REFILL = 2.0  # retries a second


class Retrying(RuleBasedStateMachine):
    @initialize(share=st.sampled_from([0.0, 0.1, 0.5]), streams_die=st.booleans())
    def begin(self, share, streams_die) -> None:
        self.streams_die = streams_die
        self.now = self.began = 1000.0
        self.share = share
        self.reserve = RESERVE if share else 0.0
        self.budget = Budget(self.now, share, self.reserve, REFILL)
        self.requests = self.retries = self.returned = 0
        self.given = 0.0  # for calls that were lost
        self.out = 0

    @rule(number=st.sampled_from([1, 10, 10, 500]))
    def requests_come(self, number) -> None:
        for _ in range(number):
            self.budget.deposit(self.now)
        self.requests += number

    @rule(number=st.sampled_from([1, 3, 40]))
    def attempts_fail(self, number) -> None:
        for _ in range(number):
            if self.budget.withdraw(self.now):
                self.retries += 1
                self.out += 1

    @precondition(lambda self: getattr(self, "out", 0))
    @rule(how=st.sampled_from(["refund", "put_back"]), number=st.sampled_from([1, 40]))
    def some_come_to_nothing(self, how, number) -> None:
        for _ in range(min(number, self.out)):
            getattr(self.budget, how)()
            self.returned += 1
            self.out -= 1

    @precondition(lambda self: getattr(self, "streams_die", False))
    @rule(calls=st.sampled_from([1, 64, 20_000]))
    def a_stream_dies_with_calls(self, calls) -> None:
        self.budget.reserve_for(calls)
        self.given += min(calls, MOST_LOST)
        paid = 0
        while paid < min(calls, 64) and self.budget.withdraw(self.now):
            paid += 1
        assert paid == min(calls, 64), "each lost call may be tried again"
        self.retries += paid
        self.out += paid

    @rule(seconds=st.sampled_from([0.0, 0.3, 5.0, 3600.0]))
    def time_passes(self, seconds) -> None:
        self.now += seconds

    @invariant()
    def no_more_is_tried_again_than_is_promised(self) -> None:
        if not hasattr(self, "budget"):
            return
        refilled = REFILL * (self.now - self.began) if self.reserve else 0.0
        most = self.reserve + self.share * self.requests + refilled + self.given
        assert self.retries - self.returned <= most + 1e-6

    @invariant()
    def who_has_waited_may_try_again(self) -> None:
        if hasattr(self, "budget") and self.reserve:
            assert self.budget.restored(self.now + self.reserve / REFILL)


TestRetrying = Retrying.TestCase
TestRetrying.settings = bounded(50, 40)
TestRetrying.pytestmark = [pytest.mark.timeout(LIMIT)]
