import random
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.limits.buckets import Buckets, HoldingBuckets


@settings(deadline=None, max_examples=100)
@given(
    rate=st.floats(0.1, 100.0),
    size=st.floats(1.0, 50.0),
    steps=st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 1.0)), max_size=60),
)
def test_no_stretch_of_time_gets_more_than_the_burst_and_the_rate(
    rate: float, size: float, steps: list[tuple[float, float]]
) -> None:
    now, buckets = 0.0, Buckets(rate, size)
    taken: list[tuple[float, float]] = []
    for pause, part in steps:
        now += pause
        amount = part * size
        wait = buckets.wait("a", amount, now)
        assert wait <= size / rate + 1e-9
        if not wait:
            buckets.take("a", amount, now)
            taken.append((now, amount))
    for first in range(len(taken)):
        total = 0.0
        for at, amount in taken[first:]:
            total += amount
            assert total <= size + rate * (at - taken[first][0] + 1e-5) + 1e-6


@settings(deadline=None, max_examples=50)
@given(amount=st.floats(0.1, 50.0), now=st.floats(0.0, 100.0))
def test_what_is_waited_for_can_then_be_taken(amount: float, now: float) -> None:
    buckets = Buckets(2.0, 50.0)
    buckets.take("a", 50.0, 0.0)
    wait = buckets.wait("a", amount, now)
    assert buckets.wait("a", amount, now + wait) == 0.0
    assert buckets.left("a", now + wait) == pytest.approx(max(amount, min(50.0, 2.0 * now)))


class Run:
    """A request that holds what it may use until it has used something."""

    def __init__(self, at: float, held: float) -> None:
        self.at, self.held = at, held


@settings(deadline=None, max_examples=150)
@given(
    rate=st.floats(0.1, 100.0),
    size=st.floats(1.0, 50.0),
    steps=st.lists(
        st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.booleans()),
        max_size=60,
    ),
)
def test_what_is_used_is_never_more_than_the_burst_and_the_rate_however_much_was_held(
    rate: float, size: float, steps: list[tuple[float, float, float, bool]]
) -> None:
    now, buckets = 0.0, HoldingBuckets(rate, size)
    runs: list[Run] = []
    used: list[tuple[float, float]] = []
    for pause, part, share, begins in steps:
        now += pause
        if begins or not runs:
            if not buckets.wait("a", part * size, now):
                buckets.take("a", part * size, now)
                runs.append(Run(now, part * size))
            continue
        run = runs.pop(int(share * (len(runs) - 1)))
        buckets.settle("a", run.held, share * run.held, run.at, now)
        used.append((now, share * run.held))
    for first in range(len(used)):
        total = 0.0
        for at, amount in used[first:]:
            total += amount
            assert total <= size + rate * (at - used[first][0] + 1e-5) + 1e-6


@settings(deadline=None, max_examples=50)
@given(
    held=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 30)), max_size=20),
    last=st.randoms(use_true_random=False),
)
def test_settling_leaves_exactly_what_was_not_used(
    held: list[tuple[int, int]], last: "random.Random"
) -> None:
    buckets = HoldingBuckets(1.0, 1000.0)
    for amount, _ in held:
        buckets.take("a", amount, 0.0)
    last.shuffle(held)
    for amount, used in held:
        buckets.settle("a", amount, used, 0.0, 0.0)
    assert buckets.left("a", 0.0) == pytest.approx(1000.0 - sum(used for _, used in held))
    assert buckets.idle(1000.0)


def test_what_is_held_is_nobody_elses() -> None:
    buckets = HoldingBuckets(10.0, 100.0)
    buckets.take("a", 80.0, 0.0)
    assert buckets.wait("a", 30.0, 0.0) > 0
    assert buckets.wait("a", 20.0, 0.0) == 0.0
    assert buckets.wait("b", 100.0, 0.0) == 0.0


def test_holding_is_not_filled_up_by_time() -> None:
    buckets = HoldingBuckets(10.0, 100.0)
    buckets.take("a", 100.0, 0.0)
    assert buckets.wait("a", 1.0, 1e6) == pytest.approx(1.0)
    buckets.settle("a", 100.0, 40.0, 0.0, 1e6)
    assert buckets.left("a", 1e6) == pytest.approx(60.0)


@pytest.mark.parametrize("kind", [Buckets, HoldingBuckets])
def test_more_than_a_full_bucket_has_can_never_be_taken(
    kind: type[Buckets] | type[HoldingBuckets],
) -> None:
    buckets = kind(10.0, 100.0)
    assert buckets.wait("a", 100.0, 0.0) == 0.0
    assert buckets.wait("a", 101.0, 0.0) == inf


def test_what_was_used_beyond_what_was_held_is_a_debt() -> None:
    buckets = HoldingBuckets(10.0, 100.0)
    buckets.take("a", 100.0, 0.0)
    buckets.settle("a", 100.0, 150.0, 0.0, 0.0)
    assert buckets.left("a", 0.0) == pytest.approx(-50.0)
    assert buckets.wait("a", 100.0, 0.0) == pytest.approx(15.0)
    assert buckets.wait("a", 0.0, 0.0) == pytest.approx(5.0)
