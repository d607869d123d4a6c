"""Of the largest tenant the last comer gives way, and nobody does in turns."""

from backends.llm.fairness import Shares
from backends.llm.sampling import Sampling
from backends.llm.sequence import Sequence


def sequence(order: int, tenant: str, blocks: int = 1, priority: int = 2) -> Sequence:
    held = list(range(blocks))
    return Sequence(order, [1], 2, Sampling(), tenant=tenant, priority=priority, blocks=held)


def test_where_blocks_lack_the_last_comer_of_the_largest_tenant_gives_way() -> None:
    running = [sequence(1, "big", 6), sequence(2, "big", 6), sequence(3, "small", 2)]
    assert Shares(running, 8, 20).last() is running[1]


def test_the_lowest_priority_does_before_that() -> None:
    running = [sequence(1, "big", 6), sequence(2, "big", 6), sequence(3, "small", 2, priority=3)]
    assert Shares(running, 8, 20).last() is running[2]


def test_the_first_of_all_does_only_if_it_is_alone() -> None:
    first, small = sequence(1, "big", 18), sequence(2, "small", 1)
    assert Shares([first, small], 8, 20).last() is small
    assert Shares([first], 8, 20).last() is first


def test_a_tenant_with_many_places_makes_room_for_one_that_comes() -> None:
    running = [sequence(order, "big") for order in range(4)]
    comer = sequence(9, "small", 0)
    assert Shares(running, 4, 100).for_another(comer, 1) is running[3]


def test_so_does_one_with_many_blocks() -> None:
    running = [sequence(1, "big", 10), sequence(2, "big", 8), sequence(3, "other", 1)]
    assert Shares(running, 64, 20).for_another(sequence(9, "small", 0), 5) is running[1]


def test_nobody_gives_way_to_a_tenant_that_had_more_then() -> None:
    running = [sequence(1, "a"), sequence(2, "a"), sequence(3, "b")]
    assert Shares(running, 3, 100).for_another(sequence(9, "b", 0), 1) is None
    assert Shares(running, 3, 100).for_another(sequence(9, "c", 0), 90) is None
    assert Shares(running, 3, 100).for_another(sequence(9, "a", 0), 1) is None


def test_a_single_sequence_keeps_its_place() -> None:
    assert Shares([sequence(1, "a", 20)], 1, 20).for_another(sequence(9, "b", 0), 1) is None


def test_nobody_gives_way_to_a_lower_priority() -> None:
    running = [sequence(order, "big", priority=1) for order in range(4)]
    assert Shares(running, 4, 100).for_another(sequence(9, "small", 0, priority=2), 1) is None
