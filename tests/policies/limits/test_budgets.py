from math import inf

import pytest

from policies.limits import budgets as module
from policies.limits.allowance import LimitId
from policies.limits.budgets import Budgets, Counts
from policies.limits.calendar import Every
from policies.limits.elsewhere import Elsewhere
from tests.policies.limits.limited import NOON, Clock

LIMIT = LimitId("fraud", "tenant/rows/day", 0)


def budgets(
    clock: Clock,
    amount: float,
    *,
    every: Every = "day",
    elsewhere: Elsewhere | None = None,
) -> Budgets:
    return Budgets(amount, Counts(LIMIT, every, clock.wall, elsewhere or Elsewhere()))


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
    others = {(str(LIMIT), today, "a"): 5.0, (str(LIMIT), "1999-01-01", "a"): 9.0}
    elsewhere.learn(others, {})
    assert budget.left("a", clock.now) == 2.0
    assert not use(budget, clock, 3.0)
    assert use(budget, clock, 2.0)


def test_a_budget_that_is_changed_knows_what_was_used() -> None:
    clock = Clock()
    counts = Counts(LIMIT, "month", clock.wall, Elsewhere())
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


def test_a_key_that_was_forgotten_begins_with_what_was_written_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEYS", 50)
    clock, elsewhere = Clock(), Elsewhere()
    budget = budgets(clock, 5.0, elsewhere=elsewhere)
    assert use(budget, clock, 4.0, key="victim")
    today = budget._counts.period.name
    elsewhere.learn({}, {(str(LIMIT), today, "victim"): 4.0})
    assert budget.left("victim", clock.now) == 1.0  # written and counted: not twice
    for number in range(200):
        assert use(budget, clock, 5.0, key=f"made up {number}")
    assert budget.left("victim", clock.now) == 1.0
    assert not use(budget, clock, 2.0, key="victim")
    assert use(budget, clock, 1.0, key="victim")
    assert not use(budget, clock, 1.0, key="victim")


def test_who_is_refused_takes_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEYS", 50)
    clock = Clock()
    budget = budgets(clock, 5.0)
    assert use(budget, clock, 1.0, key="small")
    assert not any(use(budget, clock, 6.0, key=f"made up {number}") for number in range(200))
    elsewhere_used = [budget.wait(f"made up {number}", 1.0, clock.now) for number in range(200)]
    assert not any(elsewhere_used)
    assert len(budget._counts) == 1
