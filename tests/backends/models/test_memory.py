"""Who may stay on the device: a budget, its high-water mark, and the least recently used."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from backends.models.memory import Memory, OverBudget, device_total, written

A, B, C = ("a", "1", "r"), ("b", "1", "r"), ("c", "1", "r")


def test_the_high_water_mark_stays() -> None:
    memory = Memory(0)
    memory.hold(A, 100)
    memory.hold(B, 50)
    memory.release(A)
    assert (memory.used, memory.high_water) == (50, 150)


def test_reserving_is_not_using_and_holding_replaces_it() -> None:
    memory = Memory(100)
    memory.reserve(A, 80)
    assert (memory.used, memory.high_water) == (80, 0)
    memory.hold(A, 30)
    assert (memory.used, memory.high_water) == (30, 30)


def test_without_a_budget_there_is_always_room() -> None:
    assert Memory(0).evicted_for(1 << 60, {}) == []


def test_over_the_budget_is_refused_with_the_sizes() -> None:
    memory = Memory(3 << 20)
    memory.hold(A, 2 << 20)
    with pytest.raises(
        OverBudget, match=r"takes 1.5 MiB, and of the budget of 3.0 MiB 2.0 MiB are"
    ):
        memory.evicted_for(3 << 19, {})


def test_the_least_recently_used_go_first_and_no_more_than_needed() -> None:
    memory = Memory(100)
    for key in (A, B, C):
        memory.hold(key, 30)
    idle = {A: 3.0, B: 1.0, C: 2.0}
    assert memory.evicted_for(10, idle) == []
    assert memory.evicted_for(30, idle) == [B]
    assert memory.evicted_for(60, idle) == [B, C]


def test_nobody_goes_when_it_would_not_be_enough() -> None:
    memory = Memory(100)
    memory.hold(A, 60)
    memory.hold(B, 30)
    with pytest.raises(OverBudget):
        memory.evicted_for(80, {B: 1.0})


def test_models_of_unknown_size_are_not_evicted_for_nothing() -> None:
    memory = Memory(100)
    memory.hold(A, 0)
    memory.hold(B, 60)
    assert memory.evicted_for(60, {A: 1.0, B: 2.0}) == [B]


HOLDERS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 50), min_size=1)


@given(HOLDERS, st.integers(1, 100), st.integers(0, 120), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=100)
def test_evicting_makes_exactly_enough_room(held, budget, size, random) -> None:  # type: ignore[no-untyped-def]
    memory = Memory(budget)
    for name, amount in held.items():
        memory.hold((name, "1", "r"), amount)
    idle = {(name, "1", "r"): random.random() for name in held}
    try:
        gone = memory.evicted_for(size, idle)
    except OverBudget:
        assert size > budget
        return
    kept = memory.used - sum(memory.held(key) for key in gone)
    assert kept + size <= budget
    if gone:
        assert kept + memory.held(gone[-1]) + size > budget


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert written(size) == text


def test_a_cpu_has_no_bound_of_its_own() -> None:
    assert device_total("cpu") == 0


def test_a_device_that_cannot_be_asked_needs_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ValueError, match="how much memory cuda:0 has"):
        device_total("cuda:0")


@pytest.mark.gpu
def test_a_gpu_says_what_it_has() -> None:
    assert device_total("cuda:0") > 1 << 30
