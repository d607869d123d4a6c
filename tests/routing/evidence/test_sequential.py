"""Intervals that hold at every look, and how soon they tell a bad candidate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from routing.evidence.counts import PairCounts
from routing.evidence.disagreement import above_noise
from routing.evidence.histogram import GROWTH, SMALLEST, Histogram, upper_bound
from routing.evidence.mixture import Mixture
from routing.evidence.sequential import (
    bernoulli,
    difference,
    disagreement_sequence,
    log_limit,
    ratio_of_quantiles,
)
from tests.routing.evidence.pairs_drawn import Pairs
from tests.routing.evidence.rollouts_drawn import error_counts, log_wealths

ALPHA = 0.05 / 3  # three metrics at 95 % together
counts = st.integers(0, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def wealth(successes, n, p):
    return Mixture(successes, n - successes).log_wealth(float(p), 1 - float(p))


# One share


@given(counts)
@settings(deadline=None, max_examples=50)
def test_the_ends_of_a_share_are_where_the_wealth_reaches_its_limit(drawn):
    successes, n = drawn
    low, high = bernoulli(successes, n, 0.05)

    assert 0.0 <= low <= high <= 1.0
    # The search ends within 1e-5 of the slope, which is the share where all trials are alike.
    close = 0.01 + 1e-5 * n
    for end in (low, high):
        if 0.0 < end < 1.0:
            assert wealth(successes, n, end) == pytest.approx(log_limit(0.05), abs=close)
            assert wealth(successes, n, end) >= log_limit(0.05) - 1e-9


@pytest.mark.parametrize("p", [0.0, 0.001, 0.01, 0.5])
def test_a_true_share_is_inside_at_every_single_look(p):
    # 500 sequences of 2,000 trials: the truth is outside exactly when its wealth has reached the
    # limit.
    sums = (np.random.default_rng(11).random((500, 2000)) < p).cumsum(axis=1)
    evidence = log_wealths(sums, np.arange(1, 2001), p)

    assert (evidence >= log_limit(0.05)).any(axis=1).mean() <= 0.05


@given(counts, st.floats(min_value=0.001, max_value=0.5))
@settings(deadline=None, max_examples=50)
def test_a_smaller_alpha_is_wider(drawn, alpha):
    low, high = bernoulli(*drawn, alpha)
    lower, higher = bernoulli(*drawn, alpha / 2)

    assert lower <= low
    assert high <= higher


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_alpha_is_a_probability(alpha):
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1"):
        bernoulli(1, 2, alpha)


# Two shares


@given(counts, counts)
@settings(deadline=None, max_examples=30)
def test_a_difference_is_kept_while_any_two_shares_with_it_are(one, other):
    found = difference(*one, *other, 0.05)

    def refuted(delta):
        """The least wealth over all pairs of shares that far apart, by another way."""
        low, high = max(0.0, delta), min(1.0, 1.0 + delta)
        best = optimize.minimize_scalar(
            lambda p: wealth(*one, p) + wealth(*other, p - delta),
            bounds=(low, high),
            method="bounded",
            options={"xatol": 1e-12},
        )
        return best.fun >= log_limit(0.05)

    assert -1.0 <= found.low <= found.estimate <= found.high <= 1.0
    for end, outwards in ((found.low, -1), (found.high, 1)):
        if abs(end) < 0.999:
            assert refuted(end + outwards * 1e-3 * found.width)
            assert not refuted(end - outwards * 1e-2 * found.width)


@given(counts, counts)
@settings(deadline=None, max_examples=50)
def test_the_other_way_round_the_difference_is_its_negative(one, other):
    found, turned = difference(*one, *other, 0.05), difference(*other, *one, 0.05)

    assert turned.low == pytest.approx(-found.high, abs=1e-4)
    assert turned.high == pytest.approx(-found.low, abs=1e-4)


def test_without_requests_any_difference_is_possible():
    found = difference(0, 0, 0, 0, 0.05)

    assert (found.low, found.high) == (-1.0, 1.0)


def test_with_an_arm_that_has_none_only_the_other_bounds_it():
    found = difference(0, 0, 1, 10_000, 0.05)

    assert found.high == pytest.approx(1.0, abs=1e-3)
    assert found.low == pytest.approx(0.0, abs=3e-3)


def first_refuted(seed, *, candidate, baseline, looks, bound=0.005, rollouts=200):
    """The canary request at which each rollout was first seen to be beyond the bound, or inf."""
    s1, n1, s2, n2 = error_counts(seed, rollouts, looks, candidate=candidate, baseline=baseline)
    found = np.full(rollouts, np.inf)
    for rollout in range(rollouts):
        for look in range(looks):
            sums = (s1, n1, s2, n2)
            seen = difference(*(int(each[rollout, look]) for each in sums), ALPHA)
            if seen.low > bound:
                found[rollout] = n1[rollout, look]
                break
    return found


def test_two_points_of_errors_are_seen_before_the_canary_s_two_thousandth_request():
    found = first_refuted(0, candidate=0.022, baseline=0.002, looks=39)

    assert (found < 2000).sum() >= 170
    assert found.max() < 4000


@pytest.mark.parametrize(
    ("candidate", "baseline"), [(0.002, 0.002), (0.007, 0.002), (0.0, 0.0), (0.505, 0.5)]
)
def test_a_candidate_at_or_within_the_bound_isn_t_seen_beyond_it(candidate, baseline):
    found = first_refuted(1, candidate=candidate, baseline=baseline, looks=20)

    assert np.isfinite(found).sum() <= 4  # 200 alpha, rounded up


@pytest.mark.parametrize(
    ("candidate", "baseline", "share"),
    [(0.002, 0.002, 0.05), (0.007, 0.002, 0.05), (0.02, 0.05, 0.5), (0.5, 0.5, 0.5)],
)
def test_two_true_shares_are_inside_at_every_look_together(candidate, baseline, share):
    # Stronger than that their difference is: 1,000 rollouts of 10,000 canary requests.
    s1, n1, s2, n2 = error_counts(
        2, 1000, 200, candidate=candidate, baseline=baseline, every=50, share=share
    )
    evidence = log_wealths(s1, n1, candidate) + log_wealths(s2, n2, baseline)

    assert (evidence >= log_limit(0.05)).any(axis=1).mean() <= 0.05


# Pairs


cells = st.integers(0, 500)


@given(st.builds(PairCounts, cells, cells, cells, cells, cells, cells))
@settings(deadline=None, max_examples=40)
def test_disagreement_reaches_as_far_as_any_table_that_isn_t_refuted(pairs):
    found = disagreement_sequence(pairs, 0.05)
    assert -1.0 <= found.low <= found.estimate <= found.high <= 1.0
    if not pairs.with_noise:
        return
    parts = (
        (pairs.candidate_differs, pairs.compared),
        (pairs.both_differ, pairs.both_differ + pairs.only_candidate),
        (pairs.only_noise, pairs.only_noise + pairs.neither),
    )
    # Random tables: none that isn't refuted may lie outside.
    rng = np.random.default_rng(0)
    drawn = [
        rng.beta(0.5 + s * scale, 0.5 + (n - s) * scale, 150)
        for scale in (1.0, 0.3)
        for s, n in parts
    ]
    tables = np.concatenate([np.array(drawn[:3]).T, np.array(drawn[3:]).T])
    for table in np.clip(tables, 1e-12, 1 - 1e-12):
        kept = sum(wealth(*part, p) for part, p in zip(parts, table, strict=True)) < log_limit(0.05)
        p, a, b = table
        assert not kept or p * (1 - a) - (1 - p) * b in found


@pytest.mark.parametrize(
    "pairs",
    [
        PairCounts(20, 180, 30, 4770, 190, 4810),
        PairCounts(1, 3, 2, 94, 5, 95),
        PairCounts(0, 0, 0, 500, 0, 500),
        PairCounts(0, 0, 0, 50, 3, 50),
        PairCounts(5, 5, 5, 5, 0, 0),
    ],
)
def test_the_ends_of_the_disagreement_are_those_of_a_general_optimiser(pairs):
    found = disagreement_sequence(pairs, 0.05)
    parts = (
        Mixture(pairs.candidate_differs, pairs.compared - pairs.candidate_differs),
        Mixture(pairs.both_differ, pairs.only_candidate),
        Mixture(pairs.only_noise, pairs.neither),
    )

    def room(table):
        kept = sum(part.log_wealth(p, 1 - p) for part, p in zip(parts, table, strict=True))
        return log_limit(0.05) - kept

    tiny = 1e-9
    for end, side in ((found.low, 1), (found.high, -1)):
        reached = [
            optimize.minimize(
                lambda table, side=side: (
                    side * (table[0] * (1 - table[1]) - (1 - table[0]) * table[2])
                ),
                np.clip([p.at_slope(0.0)[0] for p in parts[:1]] + [a, b], 1e-4, 1 - 1e-4),
                bounds=[(tiny, 1 - tiny)] * 3,
                constraints={"type": "ineq", "fun": room},
                method="SLSQP",
                options={"maxiter": 500, "ftol": 1e-12},
            )
            for a in (0.1, 0.5, 0.9)
            for b in (0.001, 0.1)
        ]
        best = min(r.fun for r in reached if room(r.x) > -1e-6) * side
        assert end == pytest.approx(best, abs=1e-3 * found.width)


def test_it_lies_around_the_interval_of_a_single_look():
    pairs = PairCounts(20, 180, 30, 4770, 190, 4810)
    once, ever = above_noise(pairs), disagreement_sequence(pairs, 0.05)

    assert ever.estimate == once.estimate
    assert ever.low < once.low < once.high < ever.high
    assert ever.width < 3 * once.width


def test_without_noise_it_is_bounded_as_any_share():
    found = disagreement_sequence(PairCounts(alone_differ=30, alone_agree=970), 0.05)

    assert (found.low, found.high) == bernoulli(30, 1000, 0.05)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.2])
def test_the_true_disagreement_is_inside_at_every_look(noise):
    outside = 0
    for seed in range(60):
        drawn = Pairs(np.random.default_rng(seed), 2000, flips=0.03, noise=noise)
        outside += any(
            drawn.truth not in disagreement_sequence(drawn.first(n), 0.05)
            for n in (20, 200, 600, 2000)
        )

    assert outside <= 3


# Quantiles


def latencies(rng, n, scale=1.0):
    """Lognormal around 50 ms, as counts by bucket."""
    return histogram(rng.lognormal(np.log(0.05 * scale), 0.5, n))


def histogram(seconds):
    index = np.ceil(np.log(np.maximum(seconds, SMALLEST) / SMALLEST) / np.log(GROWTH)).astype(int)
    buckets, counts = np.unique(index, return_counts=True)
    return Histogram(dict(zip(buckets.tolist(), counts.tolist(), strict=True)))


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_the_true_ratio_of_quantiles_is_inside_at_every_look(q, scale):
    outside = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        candidate, baseline = Histogram(), Histogram()
        held = True
        for more in (50, 50, 200, 700, 2000):
            candidate.merge(latencies(rng, more, scale))
            baseline.merge(latencies(rng, 4 * more))
            held &= scale in ratio_of_quantiles(candidate, baseline, q, 0.05)
        outside += not held

    assert outside <= 2


def least_wealth(mixture, low, high):
    """Of all shares from `low` to `high`, by trying them."""
    tried = np.linspace(low, high, 4001)[1:-1]
    n = mixture.successes + mixture.failures
    observed = min(high, max(low, mixture.successes / n if n else low))
    return min(mixture.log_wealth(p, 1 - p) for p in (*tried, low, high, observed))


def bucket_wealth(latency, q, index):
    """Half the stake on too few ending by the bucket's upper end, half on too many before it."""
    prior = ((0.5, 0.5), (100 * q, 100 * (1 - q)))

    def ended(before):
        seen = sum(count for bucket, count in latency.items() if bucket <= before)
        return Mixture(seen, latency.total - seen, prior)

    # All end by the upper end of the last bucket, which is infinite, and none before the first.
    too_few = least_wealth(ended(index), q, 1.0)
    too_many = least_wealth(ended(index - 1), 0.0, q)
    return np.log(0.5 * np.exp(too_few) + 0.5 * np.exp(too_many))


@pytest.mark.parametrize("q", [0.5, 0.9])
@pytest.mark.parametrize("alpha", [0.2, 0.05])
def test_a_ratio_is_kept_while_half_the_stake_on_each_side_has_not_refuted_two_buckets(q, alpha):
    # Neighbouring buckets of so few requests that one of them makes the difference.
    candidate = Histogram(dict.fromkeys(range(100, 116), 4))
    baseline = Histogram(dict.fromkeys(range(100, 112), 7))
    near = range(90, 126)
    ours, theirs = (
        {index: bucket_wealth(each, q, index) for index in near} for each in (candidate, baseline)
    )
    kept = [
        (upper_bound(i - 1) / upper_bound(j), upper_bound(i) / upper_bound(j - 1))
        for i in near
        for j in near
        if ours[i] + theirs[j] < log_limit(alpha)
    ]
    found = ratio_of_quantiles(candidate, baseline, q, alpha)

    assert found.low == pytest.approx(min(low for low, _ in kept))
    if q == 0.5:  # of so few, a p90 may lie anywhere above
        assert found.high == pytest.approx(max(high for _, high in kept))


def test_where_all_latencies_are_in_one_bucket_the_ratio_is_as_wide_as_two_buckets():
    same = Histogram({100: 100_000})
    found = ratio_of_quantiles(same, same, 0.99, ALPHA)

    assert found.estimate == 1.0
    assert found.low == pytest.approx(1 / GROWTH)
    assert found.high == pytest.approx(GROWTH)


def test_a_p99_of_one_and_a_half_is_found_and_an_equal_one_cleared():
    rng = np.random.default_rng(3)
    baseline = latencies(rng, 200_000)

    assert ratio_of_quantiles(latencies(rng, 5000, 1.5), baseline, 0.99, ALPHA).low > 1.2
    assert ratio_of_quantiles(latencies(rng, 10_000), baseline, 0.99, ALPHA).high <= 1.2


@given(
    st.dictionaries(st.integers(0, 404), st.integers(1, 100), max_size=20),
    st.dictionaries(st.integers(0, 404), st.integers(1, 100), max_size=20),
    st.sampled_from([0.01, 0.5, 0.9, 0.99]),
)
@settings(deadline=None, max_examples=50)
def test_the_ratio_holds_its_estimate(candidate, baseline, q):
    found = ratio_of_quantiles(Histogram(candidate), Histogram(baseline), q, 0.05)

    assert 0.0 <= found.low <= found.estimate <= found.high


def test_of_a_few_requests_the_p99_could_be_anything_above():
    few = Histogram({100: 20})

    assert ratio_of_quantiles(few, few, 0.99, 0.05).high == np.inf


def test_without_requests_any_ratio_is_possible():
    found = ratio_of_quantiles(Histogram(), Histogram(), 0.5, 0.05)

    assert (found.low, found.high) == (0.0, np.inf)


@pytest.mark.parametrize("q", [0.0, 1.0, 99.0])
def test_a_quantile_is_a_share(q):
    with pytest.raises(ValueError, match="q must lie between 0 and 1"):
        ratio_of_quantiles(Histogram(), Histogram(), q, 0.05)
