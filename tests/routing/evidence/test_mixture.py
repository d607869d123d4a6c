"""Wealth that only a wrong share makes grow."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from routing.evidence.mixture import JEFFREYS, MOSTLY_RARE, Mixture, furthest

shares = st.floats(min_value=1e-6, max_value=1 - 1e-6)
trials = st.integers(0, 500)


@pytest.mark.parametrize("prior", [JEFFREYS, MOSTLY_RARE])
@pytest.mark.parametrize(("successes", "failures"), [(0, 0), (0, 50), (3, 97), (20, 0)])
def test_it_is_the_beta_binomial_over_the_binomial(prior, successes, failures):
    n, p = successes + failures, 0.07
    averaged = np.mean([stats.betabinom.pmf(successes, n, a, b) for a, b in prior])
    expected = math.log(averaged / stats.binom.pmf(successes, n, p))

    assert Mixture(successes, failures, prior).log_wealth(p, 1 - p) == pytest.approx(expected)


@pytest.mark.parametrize("p", [0.001, 0.02, 0.5])
def test_against_the_truth_it_is_expected_to_stay_as_it_is(p):
    n = 60
    wealth = [math.exp(Mixture(s, n - s).log_wealth(p, 1 - p)) for s in range(n + 1)]

    assert np.dot(stats.binom.pmf(range(n + 1), n, p), wealth) == pytest.approx(1.0)


@given(trials, trials, st.floats(min_value=-1e6, max_value=1e6))
@settings(deadline=None)
def test_at_its_slope_wealth_grows_that_fast(successes, failures, slope):
    p, rest = Mixture(successes, failures).at_slope(slope)

    assert p + rest == pytest.approx(1.0)
    assert 0.0 <= p <= 1.0
    if 1e-9 < p < 1 - 1e-9:
        grows = failures / rest - successes / p
        # Relative to what cancels in the difference.
        assert abs(grows - slope) <= 1e-9 * (failures / rest + successes / p + abs(slope) + 1)


def test_at_slope_zero_lies_the_observed_share():
    assert Mixture(3, 9).at_slope(0.0) == (0.25, 0.75)


@pytest.mark.parametrize(("successes", "failures"), [(5, 0), (0, 5)])
def test_a_share_that_was_never_observed_can_t_be_refuted_at_its_end(successes, failures):
    seen = Mixture(successes, failures)

    assert seen.log_wealth(*seen.at_slope(0.0)) <= 0
    assert seen.log_wealth(*seen.at_slope(0.0)[::-1]) == math.inf


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="must not be negative: 3 successes, -1 failures"):
        Mixture(3, -1)


@given(st.floats(min_value=1e-3, max_value=1e3), st.floats(min_value=1e-3, max_value=1e6))
@settings(deadline=None)
def test_the_furthest_slope_is_just_beyond_the_limit(limit, scale):
    found = furthest(lambda slope: slope**2, limit, scale)

    assert math.sqrt(limit) <= found <= math.sqrt(limit) * 1.0001


def test_a_limit_that_is_never_reached_gives_a_slope_that_stands_for_the_end():
    assert furthest(lambda slope: 0.0, 3.0, 10.0) >= 1e24


def test_rare_events_cost_less_than_with_jeffreys_prior():
    # How much evidence the mixture gives away by not knowing the share.
    for successes, n in [(0, 2000), (4, 2000), (44, 2000), (76, 38_000)]:
        best = special.xlogy(successes, successes / n) + special.xlogy(
            n - successes, 1 - successes / n
        )
        given_away = [
            best - stats.betabinom.logpmf(successes, n, 0.5, 0.5) + _log_ways(successes, n),
            -Mixture(successes, n - successes).log_wealth(successes / n, 1 - successes / n),
        ]
        assert given_away[1] < given_away[0] - 0.5


def _log_ways(successes, n):
    return (
        special.gammaln(n + 1) - special.gammaln(successes + 1) - special.gammaln(n - successes + 1)
    )
