"""Who is next: priority, then fairness between tenants, then the order of arrival."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.llm.sampling import Sampling
from backends.llm.sequence import Sequence
from backends.llm.waiting import Waiting


def sequence(order: int, tenant: str = "a", priority: int = 2) -> Sequence:
    return Sequence(order, [1], 2, Sampling(), tenant=tenant, priority=priority)


def drained(waiting: Waiting, tokens: int = 1) -> list[int]:
    order = []
    while waiting:
        found = waiting.next()
        waiting.charge(found.tenant, tokens)
        waiting.remove(found)
        order.append(found.order)
    return order


def test_as_they_came() -> None:
    waiting = Waiting()
    for order in (3, 1, 2):
        waiting.add(sequence(order))
    assert len(waiting) == 3
    assert drained(waiting) == [1, 2, 3]


def test_the_higher_priority_first() -> None:
    waiting = Waiting()
    waiting.add(sequence(1, priority=2))
    waiting.add(sequence(2, priority=1))
    assert drained(waiting) == [2, 1]


def test_tenants_take_turns_however_much_one_of_them_asks() -> None:
    waiting = Waiting()
    for order in range(6):
        waiting.add(sequence(order, "greedy"))
    waiting.add(sequence(6, "modest"))
    waiting.add(sequence(7, "modest"))
    assert drained(waiting) == [0, 6, 1, 7, 2, 3, 4, 5]


def test_who_comes_anew_has_saved_nothing_up() -> None:
    waiting = Waiting()
    for order in range(4):
        waiting.add(sequence(order, "old"))
    waiting.charge("old", 1000)
    for order in range(4, 8):
        waiting.add(sequence(order, "new"))
    assert drained(waiting, 10)[:4] == [0, 4, 1, 5]


def test_one_that_gave_way_takes_its_old_place() -> None:
    waiting = Waiting()
    first, second = sequence(1), sequence(2)
    waiting.add(second)
    waiting.add(first)
    assert waiting.next() is first


def test_removing_tells_whether_it_was_there() -> None:
    waiting = Waiting()
    one = sequence(1)
    waiting.add(one)
    assert waiting.remove(one)
    assert not waiting.remove(one)
    with pytest.raises(IndexError):
        waiting.next()


def test_only_those_that_still_wait_come_too_late() -> None:
    waiting = Waiting()
    one, gone, back, later = (sequence(order) for order in range(4))
    one.deadline = gone.deadline = back.deadline = 5.0
    later.deadline = 6.0
    for each in (one, gone, back, later):
        waiting.add(each)
    waiting.remove(gone)
    waiting.remove(back)
    waiting.add(back)
    assert waiting.late(4.0) == []
    assert set(waiting.late(5.0)) == {one, back}
    assert list(waiting) == [later]
    assert len(waiting) == 1


def test_deadlines_of_those_long_gone_are_not_kept() -> None:
    waiting = Waiting()
    for order in range(1000):
        each = sequence(order)
        each.deadline = 1000.0
        waiting.add(each)
        waiting.remove(each)
        waiting.late(0.0)
    assert len(waiting._deadlines) < 100


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 19)), max_size=80))
def test_of_a_tenant_and_priority_the_first_that_came_is_next(acts: list[tuple[int, int]]) -> None:
    """Whoever is taken out, comes back, or is too late, against a plain list."""
    waiting, here = Waiting(), list[Sequence]()
    crowd = [sequence(order, "ab"[order % 2], 1 + order % 3) for order in range(20)]
    for each in crowd:
        each.deadline = float(each.order % 7)
    for what, number in acts:
        each = crowd[number]
        if what < 2 and each not in here:
            waiting.add(each)
            here.append(each)
        elif what == 2:
            assert waiting.remove(each) == (each in here)
            here = [other for other in here if other is not each]
        elif what == 3:
            late = {other for other in here if other.deadline <= number}
            assert set(waiting.late(float(number))) == late
            here = [other for other in here if other not in late]
        assert len(waiting) == len(here)
        assert set(waiting) == set(here)
        if here:
            found = waiting.next()
            same = [other for other in here if other.tenant == found.tenant]
            assert found.priority == min(other.priority for other in here)
            assert found.order == min(o.order for o in same if o.priority == found.priority)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from("abc"), min_size=30, max_size=60), st.randoms())
def test_no_tenant_that_waits_gets_more_than_a_piece_more_than_another(
    tenants: list[str], rng: random.Random
) -> None:
    waiting = Waiting()
    for order, tenant in enumerate(tenants):
        waiting.add(sequence(order, tenant))
    got = dict.fromkeys(tenants, 0)
    while len({each.tenant for each in waiting}) == len(got):
        found = waiting.next()
        tokens = rng.randint(1, 9)
        waiting.charge(found.tenant, tokens)
        waiting.remove(found)
        got[found.tenant] += tokens
        assert max(got.values()) - min(got.values()) <= 9
