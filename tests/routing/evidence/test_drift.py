"""Drift of scores: as the textbooks have it, and only where there is some."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from routing.evidence.drift import PSI_LARGE, PSI_SLIGHT, ks, psi

scores = st.lists(st.floats(min_value=-5, max_value=5), min_size=1, max_size=60)


@given(scores, scores)
@settings(deadline=None)
def test_it_is_the_largest_distance_of_the_distribution_functions(primary, candidate):
    first, second = np.array(primary), np.array(candidate)
    expected = max(abs(np.mean(first <= at) - np.mean(second <= at)) for at in primary + candidate)

    assert ks(primary, candidate).statistic == pytest.approx(expected)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.2, 0.4])
def test_the_p_value_is_close_to_the_exact_one(shift):
    rng = np.random.default_rng(5)
    primary, candidate = rng.normal(size=120), rng.normal(shift, 1, 150)
    expected = stats.ks_2samp(primary, candidate, method="exact").pvalue

    assert ks(primary, candidate).p_value == pytest.approx(expected, rel=0.15, abs=0.003)


@pytest.mark.parametrize(("n", "m"), [(11, 13), (17, 20), (23, 30)])
def test_the_p_value_of_small_samples_is_corrected(n, m):
    # The limit alone is 20 to 90 % too large here; lengths with a common factor have fewer values.
    rng = np.random.default_rng(5)
    close = 0
    for _ in range(30):
        primary, candidate = rng.normal(size=n), rng.normal(0.8, 1, m)
        expected = stats.ks_2samp(primary, candidate, method="exact").pvalue
        if 0.005 < expected < 0.3:
            assert ks(primary, candidate).p_value == pytest.approx(expected, rel=0.15)
            close += 1

    assert close >= 10


def test_equal_distributions_are_called_different_as_rarely_as_it_says():
    rng = np.random.default_rng(6)
    found = [ks(*rng.random((2, 300))).p_value for _ in range(400)]

    assert np.mean(np.array(found) < 0.05) <= 0.07


def test_equal_scores_have_not_drifted():
    found = ks([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])

    assert (found.statistic, found.p_value) == (0.0, 1.0)


def test_the_index_is_the_sum_over_deciles():
    primary, candidate = np.arange(1000.0), np.arange(1000.0) ** 2 / 1000
    p, q = np.full(10, 0.1), np.diff(np.sqrt(np.arange(11) / 10))

    assert psi(primary, candidate).estimate == pytest.approx(
        np.sum((p - q) * np.log(p / q)), rel=0.02
    )


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("n", [300, 3000])
def test_the_true_index_lies_in_it_about_as_often_as_it_says(shift, n):
    # The truth at the primary's true deciles.
    bounds = stats.norm.ppf(np.arange(1, 10) / 10)
    q = np.diff(np.concatenate([[0.0], stats.norm.cdf(bounds - shift), [1.0]]))
    truth = np.sum((0.1 - q) * np.log(0.1 / q))
    rng = np.random.default_rng(8)
    held = [
        truth - 1e-12 <= found.high and truth + 1e-12 >= found.low
        for found in (psi(rng.normal(size=n), rng.normal(shift, 1, n)) for _ in range(300))
    ]

    assert np.mean(held) >= 0.92


def test_a_shift_of_two_fifths_of_a_deviation_is_slight_and_of_a_whole_one_large():
    rng = np.random.default_rng(9)
    primary = rng.normal(size=20_000)

    assert psi(primary, rng.normal(0.4, 1, 20_000)).low > PSI_SLIGHT
    assert psi(primary, rng.normal(1.0, 1, 20_000)).low > PSI_LARGE
    assert psi(primary, rng.normal(0.0, 1, 20_000)).high < PSI_SLIGHT


def test_a_class_that_the_candidate_never_reaches_is_finite():
    assert np.isfinite(psi(np.linspace(0, 1, 100), np.full(100, 0.5)).high)


def test_scores_that_are_all_tied_have_no_classes_to_drift_between():
    found = psi(np.ones(100), np.ones(100))

    assert found.estimate == 0.0


@given(scores, scores, st.integers(2, 20))
@settings(deadline=None, max_examples=50)
def test_an_index_is_not_negative_and_lies_in_its_interval(primary, candidate, bins):
    found = psi(primary, candidate, bins)

    assert 0.0 <= found.low <= found.estimate <= found.high


@pytest.mark.parametrize("compare", [ks, psi])
def test_what_can_t_be_ranked_is_refused(compare):
    with pytest.raises(ValueError, match="candidate: there are no scores"):
        compare([1.0], [])
    with pytest.raises(ValueError, match="primary: 2 of 3 scores are NaN"):
        compare([1.0, np.nan, np.nan], [1.0])


def test_it_takes_two_bins():
    with pytest.raises(ValueError, match="bins must be at least 2: 1"):
        psi([1.0], [1.0], bins=1)
