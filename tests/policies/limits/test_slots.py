from hypothesis import given, settings
from hypothesis import strategies as st

from policies.limits.slots import Slots, UnderWay


def test_so_many_may_be_under_way_for_each_key() -> None:
    slots = Slots(2, UnderWay())
    assert slots.take("a", 1.0, 0.0) == 1.0
    assert slots.take("a", 1.0, 0.0) == 0.0
    assert slots.wait("a", 1.0, 0.0) > 0.0
    assert slots.wait("b", 1.0, 0.0) == 0.0
    slots.settle("a", 1.0, 0.0, 0.0, 1.0)
    assert slots.wait("a", 1.0, 1.0) == 0.0


@settings(deadline=None, max_examples=100)
@given(size=st.integers(1, 5), steps=st.lists(st.tuples(st.sampled_from("ab"), st.booleans())))
def test_slots_neither_leak_nor_multiply(size: int, steps: list[tuple[str, bool]]) -> None:
    taken = UnderWay()
    slots = Slots(size, taken)
    under_way = {"a": 0, "b": 0}
    for key, begins in steps:
        if begins:
            assert (slots.wait(key, 1.0, 0.0) == 0.0) == (under_way[key] < size)
            if under_way[key] < size:
                slots.take(key, 1.0, 0.0)
                under_way[key] += 1
        elif under_way[key]:
            slots.settle(key, 1.0, 0.0, 0.0, 0.0)
            under_way[key] -= 1
        assert slots.left(key, 0.0) == size - under_way[key]
    assert slots.idle(0.0) == (not any(under_way.values()))
    assert len(taken) == sum(map(bool, under_way.values()))
