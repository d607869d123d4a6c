"""Who is next: priority, then fairness between tenants, then the order of arrival."""

import pytest

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
