from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.limits import budgets as module
from policies.limits.budgets import Budgets, Counts, Elsewhere
from policies.limits.calendar import Every
from tests.policies.limits.limited import NOON, Clock

DAY = "1970-01-01"


def budgets(
    clock: Clock,
    amount: float,
    *,
    every: Every = "day",
    share: float = 1.0,
    elsewhere: Elsewhere | None = None,
) -> Budgets:
    return Budgets(amount, Counts("limit", every, clock.wall, elsewhere or Elsewhere()), share)


def use(budget: Budgets, clock: Clock, amount: float, key: str = "a") -> bool:
    """Whether it could be taken, and was used."""
    if budget.wait(key, amount, clock.now):
        return False
    budget.take(key, amount, clock.now)
    return True


def test_so_much_may_be_used_in_a_day_and_as_much_again_in_the_next() -> None:
    clock = Clock()
    budget = budgets(clock, 10.0)
    assert [use(budget, clock, 4.0) for _ in range(3)] == [True, True, False]
    assert budget.wait("a", 4.0, clock.now) == pytest.approx(43_200.0)  # noon to midnight
    assert use(budget, clock, 4.0, key="b")
    clock.now += 43_200.0
    assert use(budget, clock, 10.0)


def test_what_is_more_than_the_budget_never_passes() -> None:
    clock = Clock()
    assert budgets(clock, 10.0).wait("a", 11.0, clock.now) == inf


def test_what_wasnt_used_can_be_taken_by_others() -> None:
    clock = Clock()
    budget = budgets(clock, 10.0)
    at = clock.now
    budget.take("a", 8.0, at)
    clock.now += 5.0
    assert not use(budget, clock, 5.0)
    budget.settle("a", 8.0, 3.0, at, clock.now)
    assert budget.left("a", clock.now) == 7.0
    assert use(budget, clock, 5.0)


def test_who_was_admitted_yesterday_uses_nothing_of_today() -> None:
    clock = Clock()
    budget = budgets(clock, 10.0)
    at = clock.now
    budget.take("a", 8.0, at)
    clock.now += 50_000.0
    budget.settle("a", 8.0, 9.0, at, clock.now)
    assert budget.left("a", clock.now) == 10.0


def test_an_amount_that_isnt_known_beforehand_passes_while_something_is_left() -> None:
    clock = Clock()
    budget = budgets(clock, 1.0)
    assert use(budget, clock, 0.0)
    budget.settle("a", 0.0, 1.5, clock.now, clock.now)
    assert budget.left("a", clock.now) == -0.5
    assert not use(budget, clock, 0.0)


def test_what_others_have_used_counts_once_it_is_known() -> None:
    clock, elsewhere = Clock(), Elsewhere()
    budget = budgets(clock, 10.0, elsewhere=elsewhere)
    assert use(budget, clock, 3.0)
    today = budget._counts.period.name
    elsewhere.learn({("limit", today, "a"): 5.0, ("limit", "1999-01-01", "a"): 9.0})
    assert budget.left("a", clock.now) == 2.0
    assert not use(budget, clock, 3.0)
    assert use(budget, clock, 2.0)


def test_a_worker_uses_its_share_of_what_was_left_when_it_last_heard_of_the_others() -> None:
    clock, elsewhere = Clock(), Elsewhere()
    budget = budgets(clock, 100.0, share=0.5, elsewhere=elsewhere)
    assert sum(use(budget, clock, 1.0) for _ in range(100)) == 50
    elsewhere.learn({})
    assert sum(use(budget, clock, 1.0) for _ in range(100)) == 25


def test_a_share_too_small_for_any_request_admits_one() -> None:
    clock = Clock()
    budget = budgets(clock, 1.0, share=0.25)
    assert use(budget, clock, 1.0)
    assert not use(budget, clock, 1.0)


def test_a_budget_that_is_changed_knows_what_was_used() -> None:
    clock = Clock()
    counts = Counts("limit", "month", clock.wall, Elsewhere())
    before, after = Budgets(10.0, counts), Budgets(15.0, counts)
    assert use(before, clock, 10.0)
    assert after.left("a", clock.now) == 5.0


def test_a_clock_that_is_put_back_a_little_begins_no_other_day() -> None:
    clock = Clock(wall=NOON + 43_205.0)  # five seconds after midnight
    budget = budgets(clock, 10.0)
    assert use(budget, clock, 10.0)
    clock.now -= 60.0
    assert not use(budget, clock, 1.0)


def test_those_who_have_used_the_most_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEYS", 50)
    clock = Clock()
    budget = budgets(clock, 10.0)
    assert use(budget, clock, 10.0, key="greedy")
    assert all(use(budget, clock, 1.0, key=f"key {n}") for n in range(500))
    assert not use(budget, clock, 1.0, key="greedy")
    assert len(budget._counts) <= 50


@settings(deadline=None, max_examples=100)
@given(
    amount=st.floats(1.0, 100.0),
    workers=st.integers(1, 4),
    steps=st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 1.0), st.booleans()), max_size=60),
)
def test_workers_together_use_the_budget_and_at_most_one_request_each_more(
    amount: float, workers: int, steps: list[tuple[int, float, bool]]
) -> None:
    clock = Clock()
    heard = [Elsewhere() for _ in range(workers)]
    each = [budgets(clock, amount, share=1 / workers, elsewhere=one) for one in heard]
    used, excess = [0.0] * workers, 0.0
    each[0].wait("a", 0.0, clock.now)
    today = each[0]._counts.period.name
    for worker, part, tell in steps:
        worker %= workers
        if tell:
            for one, elsewhere in enumerate(heard):
                others = sum(used) - used[one]
                elsewhere.learn({("limit", today, "a"): others})
        wanted = part * amount / 4
        if use(each[worker], clock, wanted):
            used[worker] += wanted
            excess = max(excess, wanted)
    assert sum(used) <= amount + (workers - 1) * excess + 1e-6
