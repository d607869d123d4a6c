"""Sums of requests and of compared pairs."""

import itertools

from routing.evidence.counts import ArmCounts, PairCounts


def test_failures_are_counted_and_their_latency_is_not():
    counts = ArmCounts()
    counts.add(0.1, failed=False)
    counts.add(9.9, failed=True)

    assert (counts.requests, counts.errors, counts.latency.total) == (2, 1, 1)


def test_arms_add_up():
    one, other = ArmCounts(), ArmCounts()
    one.add(0.1, failed=False)
    other.add(0.2, failed=True)
    one.merge(other)

    assert (one.requests, one.errors, one.latency.total) == (2, 1, 1)


def test_a_pair_falls_into_one_cell():
    counts = PairCounts()
    for candidate, noise in itertools.product([True, False], [True, False, None]):
        counts.add(candidate, noise)

    assert counts == PairCounts(1, 1, 1, 1, 1, 1, sampled=0)
    assert counts.compared == 6
    assert counts.candidate_differs == 3
    assert (counts.noise_differs, counts.with_noise) == (2, 4)


def test_pairs_add_up():
    counts = PairCounts(1, 2, 3, 4, 5, 6, 30)
    counts.merge(PairCounts(1, 1, 1, 1, 1, 1, 10))

    assert counts == PairCounts(2, 3, 4, 5, 6, 7, 40)


def test_coverage_is_the_share_that_could_be_compared():
    assert PairCounts(neither=90, sampled=100).coverage == 0.9
    assert PairCounts().coverage == 1.0
