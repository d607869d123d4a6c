"""What the evidence says: harm when it is certain, no harm when that is, and nothing before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.route.rollout import Analysis, Metric
from routing.evidence.counts import ArmCounts, PairCounts
from routing.evidence.histogram import Histogram, bucket
from routing.evidence.interval import Interval
from routing.evidence.judge import Finding, judge, judge_all, overall
from tests.routing.evidence.rollouts_drawn import error_counts

ERRORS = Metric(name="error_rate", maxDelta="0.5pp")
P99 = Metric(name="latency_p99", maxRatio=1.2)
DISAGREEMENT = Metric(name="disagreement", maxAboveNoise="1pp")
ANALYSIS = Analysis(baseline="stable", metrics=(ERRORS, P99, DISAGREEMENT))
ALPHA = 0.05 / 3
NO_PAIRS = PairCounts()


def arm(requests, errors=0, milliseconds=50.0):
    return ArmCounts(
        requests, errors, Histogram({bucket(milliseconds / 1e3): max(0, requests - errors)})
    )


def pairs(compared, differ=0, noise=0, missing=0):
    """Every other pair with noise; no pair differs in both."""
    half = compared // 2
    return PairCounts(
        only_candidate=differ // 2,
        only_noise=noise,
        neither=half - differ // 2 - noise,
        alone_differ=differ - differ // 2,
        alone_agree=compared - half - differ + differ // 2,
        sampled=compared + missing,
    )


def judged(metric, candidate, baseline, compared=NO_PAIRS, min_samples=500):
    return judge(metric, candidate, baseline, compared, min_samples=min_samples, alpha=ALPHA)


# Errors


def test_errors_beyond_the_bound_fail():
    found = judged(ERRORS, arm(2000, 44), arm(38_000, 76))

    assert found.verdict == "fail"
    assert found.interval.low > found.bound == 0.005
    assert found.reason == (
        "error_rate: errors are 2.20% of the candidate's 2,000 requests and 0.20% of the "
        "baseline's 38,000 requests: +0.78 to +3.93 pp at 98.3% confidence, all of it "
        "above +0.50 pp"
    )


def test_errors_within_the_bound_pass_once_that_is_certain():
    assert judged(ERRORS, arm(1000, 2), arm(19_000, 38)).verdict == "inconclusive"
    assert judged(ERRORS, arm(6000, 12), arm(114_000, 228)).verdict == "pass"


def test_a_pass_means_that_the_whole_interval_is_within_the_bound():
    found = judged(ERRORS, arm(6000, 12), arm(114_000, 228))

    assert found.interval.high <= found.bound


def test_errors_at_the_bound_neither_pass_nor_fail():
    found = judged(ERRORS, arm(10_000, 70), arm(190_000, 380))

    assert found.verdict == "inconclusive"
    assert found.reason.endswith("which leaves +0.50 pp open")


def test_harm_is_believed_before_there_are_enough_samples():
    assert judged(ERRORS, arm(50, 40), arm(1000, 2)).verdict == "fail"


def test_a_pass_takes_enough_samples_of_either_arm():
    many, few = arm(100_000), arm(900)
    found = judged(ERRORS, many, few, min_samples=1000)

    assert judged(ERRORS, few, many, min_samples=1000).verdict == "inconclusive"
    assert found.verdict == "inconclusive"
    assert found.reason.endswith("only 900 of 1,000 requests of each arm so far")


@pytest.mark.parametrize(("metric", "unit"), [(ERRORS, "requests"), (P99, "answers")])
@pytest.mark.parametrize(
    ("candidate", "baseline", "which"),
    [(0, 0, "candidate"), (0, 10_000, "candidate"), (10_000, 0, "baseline")],
)
def test_without_requests_nothing_is_concluded(metric, unit, candidate, baseline, which):
    found = judged(metric, arm(candidate), arm(baseline), min_samples=1)

    assert found.verdict == "inconclusive"
    assert found.reason == f"{metric.name}: the {which} has no {unit} to go by yet"


def test_a_bound_of_nothing_passes_only_a_better_candidate():
    nothing = Metric(name="error_rate", maxDelta="0pp")

    assert judged(nothing, arm(50_000), arm(50_000)).verdict == "inconclusive"
    assert judged(nothing, arm(50_000), arm(50_000, 5000)).verdict == "pass"


# Latency


def test_a_slower_candidate_fails_and_an_equal_one_passes():
    assert judged(P99, arm(3000, milliseconds=100), arm(57_000)).verdict == "fail"
    assert judged(P99, arm(3000), arm(57_000)).verdict == "pass"


def test_the_reason_gives_latencies_and_how_many_times_longer_they_are():
    found = judged(P99, arm(3000, milliseconds=100), arm(57_000, milliseconds=50))

    assert found.bound == 1.2
    assert "the candidate's p99 is 10" in found.reason
    assert found.reason.endswith("times at 98.3% confidence, all of it above 1.20 times")


def test_only_answers_have_latencies():
    found = judged(P99, arm(3000, errors=3000), arm(57_000))

    assert found.verdict == "inconclusive"
    assert found.reason == "latency_p99: the candidate has no answers to go by yet"


@pytest.mark.parametrize("name", ["latency_p50", "latency_p90", "latency_p99"])
def test_every_quantile_is_its_own(name):
    metric = Metric(name=name, maxRatio=1.5)
    slow_tail = Histogram({bucket(0.05): 9800, bucket(0.5): 200})
    candidate = ArmCounts(10_000, 0, slow_tail)

    expected = "fail" if name == "latency_p99" else "pass"
    assert judged(metric, candidate, arm(190_000)).verdict == expected


# Disagreement


def test_disagreement_above_the_noise_fails():
    found = judged(DISAGREEMENT, arm(0), arm(0), pairs(10_000, differ=400, noise=50))

    assert found.verdict == "fail"
    assert "4.00% of 10,000 answers differ from the primary's, 1.00% of its own 5,000" in (
        found.reason
    )


def test_disagreement_that_is_noise_passes():
    counts = PairCounts(120, 180, 180, 14_520, 300, 14_700, sampled=30_000)

    assert judged(DISAGREEMENT, arm(0), arm(0), counts).verdict == "pass"


def test_below_95_percent_coverage_nothing_is_concluded():
    for differ in (0, 4000):
        found = judged(DISAGREEMENT, arm(0), arm(0), pairs(9400, differ=differ, missing=600))

        assert found.verdict == "inconclusive"
        assert found.reason == (
            "disagreement: only 9,400 of 10,000 mirrored requests could be compared, 94.0%, and it "
            "takes 95%"
        )
    assert judged(DISAGREEMENT, arm(0), arm(0), pairs(9500, missing=500)).verdict == "pass"


def test_a_coverage_is_not_rounded_up_to_enough():
    found = judged(DISAGREEMENT, arm(0), arm(0), pairs(94_999, missing=5001))

    assert found.verdict == "inconclusive"


@pytest.mark.parametrize("missing", [0, 10])
def test_without_pairs_nothing_is_concluded(missing):
    found = judged(DISAGREEMENT, arm(9000), arm(9000), PairCounts(sampled=missing), min_samples=1)

    assert found.verdict == "inconclusive"
    assert found.reason == "disagreement: no answers have been compared yet"


def test_without_noise_all_disagreement_counts_but_not_before_enough_samples():
    # A model that never says the same twice isn't harmful; its noise may only be late.
    early = PairCounts(alone_differ=20, sampled=20)
    late = PairCounts(alone_differ=20, alone_agree=1980, sampled=2000)
    none = PairCounts(alone_agree=2000, sampled=2000)

    assert judged(DISAGREEMENT, arm(0), arm(0), early).verdict == "inconclusive"
    assert judged(DISAGREEMENT, arm(0), arm(0), late).verdict == "inconclusive"
    assert judged(DISAGREEMENT, arm(0), arm(0), none).verdict == "pass"
    many = PairCounts(alone_differ=500, alone_agree=1500, sampled=2000)
    found = judged(DISAGREEMENT, arm(0), arm(0), many)
    assert found.verdict == "fail"
    assert "no noise was measured, so it is taken to be none" in found.reason


# All of them


def test_the_metrics_share_what_confidence_leaves():
    found = judge_all(ANALYSIS, arm(1000), arm(1000), NO_PAIRS)

    assert [finding.metric for finding in found] == ["error_rate", "latency_p99", "disagreement"]
    assert all(finding.interval.level == pytest.approx(1 - ALPHA) for finding in found)


def finding(verdict):
    return Finding("error_rate", verdict, Interval(0.0, 0.0, 0.0), 0.0, "")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "inconclusive"),
        (["pass"], "pass"),
        (["pass", "pass"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["inconclusive", "fail", "pass"], "fail"),
    ],
)
def test_one_failure_fails_and_all_must_pass_to_pass(verdicts, expected):
    assert overall([finding(verdict) for verdict in verdicts]) == expected


def ended(seed, *, candidate, baseline, looks):
    """Of 200 rollouts judged every 100 canary requests: the request at which each was rolled back
    and at which it passed, or inf.
    """
    drawn = error_counts(seed, 200, looks, candidate=candidate, baseline=baseline)
    at = {"fail": np.full(200, np.inf), "pass": np.full(200, np.inf)}
    for rollout in range(200):
        for s1, n1, s2, n2 in zip(*(each[rollout].tolist() for each in drawn), strict=True):
            verdict = judged(ERRORS, ArmCounts(n1, s1), ArmCounts(n2, s2)).verdict
            if verdict != "inconclusive":
                at[verdict][rollout] = n1
                break
    return at["fail"], at["pass"]


def test_two_points_of_errors_are_rolled_back_in_time_and_never_passed():
    failed, passed = ended(0, candidate=0.022, baseline=0.002, looks=39)

    assert (failed < 2000).sum() >= 170
    assert failed.max() < 4000
    assert not np.isfinite(passed).any()


def test_equal_candidates_are_not_rolled_back_and_pass_in_time():
    failed, passed = ended(1, candidate=0.002, baseline=0.002, looks=80)

    assert np.isfinite(failed).sum() <= 15
    assert (passed < 8000).sum() >= 170


def test_candidates_at_the_bound_are_rarely_rolled_back_and_rarely_passed():
    failed, passed = ended(2, candidate=0.007, baseline=0.002, looks=40)

    assert np.isfinite(failed).sum() <= 15
    assert np.isfinite(passed).sum() <= 15


counts = st.integers(0, 100_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@given(counts, counts, st.integers(0, 3000), st.integers(0, 1000), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_verdicts_are_what_intervals_say_whatever_the_counts(one, other, compared, differ, missing):
    found = judge_all(
        ANALYSIS, arm(*one), arm(*other), pairs(compared, min(differ, compared // 2), 0, missing)
    )

    for each in found:
        assert each.reason.startswith(f"{each.metric}: ")
        if each.verdict == "fail":
            assert each.interval.low > each.bound
        if each.verdict == "pass":
            assert each.interval.high <= each.bound
            assert (
                compared >= 500 if each.metric == "disagreement" else min(one[0], other[0]) >= 500
            )
