"""Times and scores: how far apart they are, and how sure that is."""

from math import inf, nan
from random import Random

import numpy as np

from routing.shadow.figures import Latencies, MeasureCounts, scores
from routing.shadow.reservoir import Reservoir


class TestLatency:
    def test_a_candidate_that_is_slower_by_a_fifth_is_said_to_be(self):
        rng = np.random.default_rng(1)
        primary = rng.lognormal(-4, 0.4, 20_000)
        sample = np.column_stack([primary, primary * 1.2])
        figures = Latencies().figures(sample, (0.5, 0.99), 0.95)
        assert figures is not None
        for _, ratio in figures.ratios:
            assert 1.2 in ratio
            assert ratio.high / ratio.low < 1.15

    def test_the_ratio_of_p99_covers_the_truth(self):
        rng = np.random.default_rng(4)
        covered = 0
        for _ in range(200):
            sample = rng.lognormal(-4, 0.5, (2000, 2))
            sample[:, 1] *= 1.1
            figures = Latencies().figures(sample, (0.99,), 0.95)
            assert figures is not None
            covered += 1.1 in figures.ratios[0][1]
        assert covered >= 184

    def test_few_pairs_leave_the_upper_end_of_a_p99_open(self):
        sample = np.random.default_rng(1).lognormal(-4, 0.4, (200, 2))
        figures = Latencies().figures(sample, (0.99,), 0.95)
        assert figures is not None
        assert figures.ratios[0][1].high == inf

    def test_times_of_none_have_no_ratio_that_could_pass(self):
        figures = Latencies().figures(np.zeros((1000, 2)), (0.99,), 0.95)
        assert figures is not None
        assert (figures.ratios[0][1].low, figures.ratios[0][1].high) == (0.0, inf)

    def test_without_pairs_there_are_no_figures(self):
        assert Latencies().figures(np.zeros((0, 2)), (0.99,), 0.95) is None


def test_a_measure_keeps_its_ends_and_counts_what_is_not_finite():
    measure = MeasureCounts(Reservoir(100, Random(1)))
    for value in (3.0, -1.0, inf, 2.0, nan):
        measure.add(value)
    figures = measure.figures("error")
    assert (figures.count, figures.not_finite) == (5, 2)
    assert (figures.low, figures.p50, figures.high) == (-1.0, 2.0, 3.0)


def test_a_measure_that_is_never_finite_has_no_figures():
    measure = MeasureCounts(Reservoir(100, Random(1)))
    measure.add(nan)
    assert measure.figures("error").not_finite == 1


def test_scores_that_moved_have_drifted():
    rng = np.random.default_rng(3)
    first = rng.beta(2, 6, 5000)
    moved = scores(list(zip(first, np.clip(first + 0.15, 0, 1), strict=True)), 0.95)
    same = scores(list(zip(first, first, strict=True)), 0.95)
    assert moved is not None
    assert moved.psi.low > 0.25
    assert moved.ks.p_value < 1e-6
    assert same is not None
    assert (same.ks.statistic, same.psi.estimate) == (0.0, 0.0)
    assert scores([], 0.95) is None
