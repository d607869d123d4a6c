"""The disagreement above noise: found where planted, and not seen where there is none."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.evidence.counts import PairCounts
from routing.evidence.disagreement import above_noise, excess
from tests.routing.evidence.pairs_drawn import Pairs

cells = st.integers(0, 2000)
pairs = st.builds(PairCounts, cells, cells, cells, cells, cells, cells)
SEEDS = 200


def intervals(n, *, flips, noise, sample=0.5, seeds=SEEDS):
    for seed in range(seeds):
        drawn = Pairs(np.random.default_rng(seed), n, flips=flips, noise=noise, sample=sample)
        yield drawn.truth, above_noise(drawn.first(n))


def test_three_percent_of_flips_are_found_in_spite_of_one_percent_noise():
    found = list(intervals(10_000, flips=0.03, noise=0.01))

    assert sum(truth in interval for truth, interval in found) >= 185
    assert max(interval.width for _, interval in found) <= 0.01


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01, 0.1, 0.4])
def test_an_identical_candidate_is_not_called_different(noise):
    found = intervals(10_000, flips=0.0, noise=noise)

    assert sum(0.0 not in interval for _, interval in found) <= 15


@pytest.mark.parametrize(
    ("n", "flips", "noise", "sample"),
    [
        (10_000, 0.03, 0.01, 0.5),
        (2000, 0.03, 0.01, 0.1),
        (500, 0.0, 0.01, 0.5),
        (500, 0.0, 0.01, 1.0),
        (500, 0.03, 0.0, 0.5),
        (200, 0.0, 0.001, 0.5),
        (200, 0.0, 0.45, 0.5),
        (100, 0.1, 0.05, 0.3),
        (50, 0.5, 0.2, 0.5),
    ],
)
def test_the_truth_lies_in_it_as_often_as_it_says(n, flips, noise, sample):
    found = list(intervals(n, flips=flips, noise=noise, sample=sample, seeds=1000))

    assert sum(truth in interval for truth, interval in found) >= 930


def test_with_noise_on_every_pair_it_is_mcnemar_s_difference():
    counts = PairCounts(both_differ=40, only_candidate=260, only_noise=110, neither=9590)
    n = counts.compared
    expected = (260 - 110) / n
    error = math.sqrt((260 + 110) / n - expected**2) / math.sqrt(n)

    found = above_noise(counts)

    assert found.estimate == pytest.approx(expected)
    assert found.low == pytest.approx(expected - 1.96 * error, abs=1e-4)
    assert found.high == pytest.approx(expected + 1.96 * error, abs=1e-4)


def test_pairs_without_noise_make_it_narrower():
    some = PairCounts(both_differ=10, only_candidate=140, only_noise=40, neither=4810)

    more = replace(some, alone_differ=150, alone_agree=4850)

    assert above_noise(more).width < 0.9 * above_noise(some).width


def test_what_two_answers_have_in_common_makes_it_narrower():
    apart = PairCounts(both_differ=10, only_candidate=190, only_noise=190, neither=9610)
    together = PairCounts(both_differ=150, only_candidate=50, only_noise=50, neither=9750)

    assert above_noise(together).width < 0.6 * above_noise(apart).width


def test_without_noise_it_is_the_raw_disagreement():
    found = above_noise(PairCounts(alone_differ=30, alone_agree=970))

    assert found.estimate == 0.03
    assert 0.02 < found.low < 0.03 < found.high < 0.045


def test_without_pairs_everything_is_possible():
    found = above_noise(PairCounts())

    assert (found.estimate, found.low, found.high) == (0.0, 0.0, 1.0)


@given(pairs)
@settings(deadline=None)
def test_it_holds_its_estimate(counts):
    found = above_noise(counts)

    assert -1.0 <= found.low <= found.estimate <= found.high <= 1.0
    assert found.estimate == excess(counts)


@given(pairs)
@settings(deadline=None)
def test_a_higher_level_is_wider(counts):
    found, surer = above_noise(counts, 0.9), above_noise(counts, 0.99)

    assert surer.low <= found.low
    assert found.high <= surer.high
