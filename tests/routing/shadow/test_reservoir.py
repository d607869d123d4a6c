"""A sample of a stream: bounded, uniform, the same for the same seed."""

from random import Random

import numpy as np
import pytest

from routing.shadow.reservoir import Reservoir


def test_a_short_stream_is_kept_whole():
    reservoir: Reservoir[int] = Reservoir(10, Random(1))
    for item in range(10):
        reservoir.add(item)
    assert (reservoir.items, reservoir.seen) == (list(range(10)), 10)


def test_a_long_stream_is_sampled_uniformly():
    hits = np.zeros(200)
    for seed in range(2000):
        reservoir: Reservoir[int] = Reservoir(20, Random(seed))
        for item in range(200):
            reservoir.add(item)
        assert len(set(reservoir.items)) == 20
        hits[reservoir.items] += 1
    # 2000 * 20 / 200 = 200 expected each, with a standard deviation of 13.4.
    assert abs(hits - 200).max() < 4.5 * 13.4
    assert abs(hits[:100].mean() - 200) < 3


def test_the_same_seed_gives_the_same_sample():
    first, second = (Reservoir[int](5, Random(3)) for _ in range(2))
    for item in range(1000):
        first.add(item)
        second.add(item)
    assert first.items == second.items


def test_a_capacity_of_none_is_refused():
    with pytest.raises(ValueError, match="capacity must be at least 1: 0"):
        Reservoir(0, Random(1))
