"""Latencies side by side, and what a pair's difference says."""

import numpy as np
import pytest
from scipy import stats

from routing.evidence.histogram import GROWTH, Histogram
from routing.evidence.latency import compare_latency, median


def test_quantiles_are_latencies_that_occurred():
    found = compare_latency(np.arange(1, 101) / 1000, np.arange(1, 101) / 500).primary

    assert (found.count, found.p50, found.p90, found.p99) == (100, 0.05, 0.09, 0.099)
    assert found.mean == pytest.approx(0.0505)


def test_pairs_tell_a_millisecond_that_the_distributions_hide():
    rng = np.random.default_rng(1)
    primary = rng.lognormal(-3, 1, 1000)
    found = compare_latency(primary, primary + rng.normal(0.001, 0.002, 1000))

    assert found.delta is not None
    assert 0.0005 < found.delta.low < found.delta.estimate < found.delta.high < 0.0015


@pytest.mark.parametrize("n", [6, 7, 20, 101, 1000])
def test_the_order_statistics_are_those_of_the_sign_test(n):
    found = median(np.arange(n, dtype=float))
    beyond = int(found.low)

    # The median is below as many as are left out with this probability; one more is too many.
    assert stats.binom.cdf(beyond, n, 0.5) <= 0.025 < stats.binom.cdf(beyond + 1, n, 0.5)
    assert found.high == n - 1 - beyond


@pytest.mark.parametrize("n", [6, 25, 200])
def test_the_true_median_lies_in_it_as_often_as_it_says(n):
    rng = np.random.default_rng(2)
    held = [0.0 in median(values) for values in rng.standard_cauchy((1000, n))]

    assert np.mean(held) >= 0.935


def test_of_fewer_than_six_pairs_nothing_is_said():
    assert compare_latency([0.1] * 5, [0.2] * 5).delta is None
    assert compare_latency([0.1] * 6, [0.2] * 6).delta is not None


def test_histograms_are_compared_without_pairs():
    primary, candidate = Histogram(), Histogram()
    for value in np.linspace(0.01, 0.1, 200):
        primary.add(value)
        candidate.add(2 * value)

    found = compare_latency(primary, candidate)

    assert found.delta is None
    assert found.primary.mean == pytest.approx(0.055, rel=GROWTH - 1)
    assert found.candidate.p90 == pytest.approx(2 * found.primary.p90, rel=GROWTH - 1)


def test_nothing_is_a_summary_of_zeros():
    empty = compare_latency([], [])

    assert (empty.primary.count, empty.primary.p99, empty.delta) == (0, 0.0, None)
    assert compare_latency(Histogram(), Histogram()).candidate == empty.candidate


def test_what_doesn_t_fit_is_refused():
    with pytest.raises(ValueError, match="there are 2 primary and 1 candidate"):
        compare_latency([0.1, 0.2], [0.1])
    with pytest.raises(ValueError, match="a histogram can't be compared with a sequence"):
        compare_latency(Histogram(), [0.1])
    with pytest.raises(ValueError, match="candidate: 1 of 2 latencies are NaN"):
        compare_latency([0.1, 0.2], [0.1, np.nan])
    with pytest.raises(ValueError, match="primary: latencies come in one dimension, not 2"):
        compare_latency(np.ones((2, 2)), [0.1, 0.2])
