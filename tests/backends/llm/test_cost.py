"""What steps cost is learned from them, whatever else the machine does."""

import random

import pytest

from backends.llm.cost import Cost, Size, size_of


def true(size: Size) -> float:
    """A machine that takes 9 ms a step, 0.6 ms a token, 160 ns a pair."""
    return 9e-3 + size.tokens * 6e-4 + size.pairs * 1.6e-7


def learned(*sizes: Size, noise: float = 0.0) -> Cost:
    rng, cost = random.Random(0), Cost()
    for size in sizes:
        cost.learn(size, true(size) * (1 + rng.uniform(-noise, noise)))
    return cost


MIXED = [size_of(start, count) for start in (0, 500, 4000) for count in (1, 16, 64)] * 10


def test_nothing_is_predicted_before_the_first_step() -> None:
    assert Cost().seconds(size_of(0, 1000)) == 0.0
    assert Cost().tokens(Size(), 0, 0.02) > 1 << 30


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_steps_of_all_sizes_are_predicted_from_a_few(noise: float) -> None:
    cost = learned(*MIXED, noise=noise)
    for size in (size_of(0, 128), size_of(8000, 128), Size(32, 32 * 300)):
        assert cost.seconds(size) == pytest.approx(true(size), rel=0.05 + noise / 2)


def test_as_many_tokens_as_fit_are_found() -> None:
    cost = learned(*MIXED)
    beside = size_of(300, 1)
    for start in (0, 3000):
        count = cost.tokens(beside, start, 0.05)
        assert cost.seconds(beside + size_of(start, count)) <= 0.05
        assert cost.seconds(beside + size_of(start, count + 1)) > 0.05
    assert cost.tokens(beside, 0, 0.005) == 0


def test_what_the_newest_steps_say_nothing_of_stays_known() -> None:
    cost = learned(*MIXED, *[Size(16, 16 * 300)] * 1000)
    assert cost.seconds(size_of(4000, 64)) == pytest.approx(true(size_of(4000, 64)), rel=0.1)


def test_a_step_during_which_the_machine_slept_changes_little() -> None:
    cost = learned(*MIXED)
    cost.learn(size_of(0, 16), 60.0)
    assert cost.seconds(size_of(0, 16)) < 2 * true(size_of(0, 16))
