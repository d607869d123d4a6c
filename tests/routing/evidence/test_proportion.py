"""Shares of few trials: Wilson's interval, and one either end of which can be relied on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from routing.evidence.proportion import score_hull, score_interval, wilson, z_score

counts = st.integers(0, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
EITHER = pytest.mark.parametrize("interval", [wilson, score_hull])


@given(counts.filter(lambda drawn: drawn[1] > 0), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
@settings(deadline=None)
def test_it_is_the_score_interval_of_the_textbook(drawn, level):
    successes, n = drawn
    expected = stats.binomtest(successes, n).proportion_ci(level, method="wilson")

    found = wilson(successes, n, level)

    assert found.low == pytest.approx(expected.low, abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)
    assert found.level == level


@EITHER
@given(drawn=counts)
@settings(deadline=None, max_examples=50)
def test_it_holds_its_estimate_and_lies_in_the_unit_interval(interval, drawn):
    found = interval(*drawn)

    assert 0.0 <= found.low <= found.estimate <= found.high <= 1.0


@EITHER
@given(drawn=counts)
@settings(deadline=None, max_examples=50)
def test_successes_and_failures_are_each_other_s_mirror_image(interval, drawn):
    successes, n = drawn
    found, mirrored = interval(successes, n), interval(n - successes, n)

    assert mirrored.low == pytest.approx(1 - found.high, abs=1e-12)
    assert mirrored.high == pytest.approx(1 - found.low, abs=1e-12)


@EITHER
@given(drawn=counts.filter(lambda drawn: drawn[1] > drawn[0]))
@settings(deadline=None, max_examples=50)
def test_one_more_success_raises_both_ends(interval, drawn):
    successes, n = drawn
    fewer, more = interval(successes, n), interval(successes + 1, n)

    assert fewer.low <= more.low
    assert fewer.high <= more.high


@EITHER
def test_without_trials_everything_is_possible(interval):
    found = interval(0, 0)

    assert (found.low, found.high) == (0.0, 1.0)


@EITHER
@pytest.mark.parametrize(("successes", "n"), [(-1, 10), (11, 10), (0, -1)])
def test_counts_that_are_none_are_refused(interval, successes, n):
    with pytest.raises(ValueError, match="successes must lie between 0 and n"):
        interval(successes, n)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_is_a_probability(level):
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        z_score(level)


@pytest.mark.parametrize(("p", "n"), [(0.001, 5000), (0.01, 500), (0.1, 100), (0.5, 30)])
def test_the_truth_lies_in_it_as_often_as_it_says_on_average(p, n):
    # Around each share, as any single one is hit or missed by what counts happen to exist.
    seen = np.arange(n + 1)
    ends = np.array([(found.low, found.high) for found in (wilson(int(s), n) for s in seen)])
    truths = p * np.linspace(0.7, 1.3, 41)
    held = (ends[:, :1] <= truths) & (truths <= ends[:, 1:])
    coverage = (stats.binom.pmf(seen[:, None], n, truths) * held).sum(axis=0)

    assert coverage.mean() == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize(("p", "n"), [(0.002, 2500), (0.02, 500), (0.2, 100), (0.5, 50)])
def test_neither_end_of_the_hull_is_missed_too_often(p, n):
    seen = np.arange(n + 1)
    ends = np.array([(found.low, found.high) for found in (score_hull(int(s), n) for s in seen)])
    truths = p * np.linspace(0.7, 1.3, 41)
    chance = stats.binom.pmf(seen[:, None], n, truths)

    assert (chance * (truths < ends[:, :1])).sum(axis=0).mean() <= 0.030
    assert (chance * (truths > ends[:, 1:])).sum(axis=0).mean() <= 0.030


def test_the_trials_may_be_an_effective_number():
    assert score_interval(0.3, 10.5, 0.95).width < score_interval(0.3, 10.0, 0.95).width
