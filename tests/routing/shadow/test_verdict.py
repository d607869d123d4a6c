"""The verdict: promote only on evidence, advise against only on evidence, say which is missing."""

from collections import Counter
from math import inf
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.route.rollout import Analysis
from routing.evidence.counts import PairCounts
from routing.evidence.disagreement import above_noise
from routing.evidence.interval import Interval
from routing.shadow.failures import ErrorCounts
from routing.shadow.segments import Dimension, Segment
from routing.shadow.verdict import Criteria, Verdict, criteria_of, decide

NO_WORSE = ((0.99, Interval(1.0, 0.95, 1.05)),)
SLOW = ((0.99, Interval(1.5, 1.4, 1.6)),)
FEW = ((0.99, Interval(1.0, 0.7, inf)),)


def counts(
    compared: int = 10_000, differ: int = 100, noise: int = 100, not_compared: int = 0
) -> PairCounts:
    """Noise is measured on half of the pairs, and independent of the candidate's differences."""
    with_noise = compared // 2
    flips, own = differ // 2, noise // 2
    both = flips * own // with_noise if with_noise else 0
    return PairCounts(
        both_differ=both,
        only_candidate=flips - both,
        only_noise=own - both,
        neither=with_noise - flips - own + both,
        alone_differ=differ - flips,
        alone_agree=compared - with_noise - differ + flips,
        sampled=compared + not_compared,
    )


def alone(compared: int, differ: int) -> PairCounts:
    return PairCounts(alone_differ=differ, alone_agree=compared - differ, sampled=compared)


def verdict(found: PairCounts, **changes: Any) -> Verdict:
    criteria = changes.pop("criteria", Criteria())
    known = {
        "errors": ErrorCounts(10_000, 10, 10).figures(0.95),
        "ratios": NO_WORSE,
        "dimensions": (),
        "why_not": (("were dropped", found.sampled - found.compared),),
    } | changes
    return decide(criteria, found, above_noise(found, criteria.level), **known)


def test_a_candidate_as_good_as_the_primary_is_promoted():
    found = verdict(counts())
    assert found.decision == "promote"
    assert {check.state for check in found.checks} == {"met"}
    assert "10,000 compared pairs" in found.reason


def test_a_candidate_that_differs_beyond_the_noise_is_not():
    found = verdict(counts(differ=300))
    assert found.decision == "dont"
    assert found.reason.startswith("2.00 pp more of the candidate’s answers differ")
    assert "at most 1.00 pp are allowed" in found.reason


def test_much_noise_is_not_held_against_the_candidate():
    assert verdict(counts(40_000, differ=2000, noise=2000)).decision == "promote"


def test_noise_that_can_not_be_the_pairs_own_excuses_nothing():
    found = verdict(counts(differ=100, noise=3000))
    assert found.decision == "not_enough_evidence"
    assert "not of the same kind" in found.reason


def test_a_candidate_without_noise_of_its_own_may_differ_less_than_the_primary_from_itself():
    assert verdict(counts(differ=500, noise=1000)).decision != "not_enough_evidence"


def test_too_few_pairs_are_no_evidence_however_well_they_agree():
    found = verdict(counts(490, differ=0, noise=0))
    assert found.decision == "not_enough_evidence"
    assert found.reason.startswith("490 pairs were compared; it takes 500.")


def test_nothing_at_all_is_no_evidence():
    none = ErrorCounts().figures(0.95)
    found = verdict(PairCounts(), errors=none, ratios=())
    assert found.decision == "not_enough_evidence"


def test_an_interval_across_the_bound_says_how_many_pairs_would_do():
    found = verdict(counts(4000, differ=64, noise=40))
    assert found.decision == "not_enough_evidence"
    assert "If it stays so, about" in found.reason


class TestCoverage:
    def test_below_95_percent_nothing_is_promoted(self):
        found = verdict(counts(9100, differ=0, noise=0, not_compared=900))
        assert found.decision == "not_enough_evidence"
        assert found.reason == "Only 91 % of the pairs could be compared: 900 were dropped."

    def test_just_below_does_not_read_as_if_it_sufficed(self):
        found = verdict(counts(94_960, not_compared=5040))
        assert found.decision == "not_enough_evidence"
        assert "Only 94.96 %" in found.reason

    def test_harm_that_no_missing_pair_could_undo_is_harm(self):
        assert verdict(counts(9000, differ=900, not_compared=1000)).decision == "dont"

    def test_harm_that_the_missing_pairs_might_undo_is_not_certain(self):
        found = counts(5000, differ=100, noise=0, not_compared=5000)
        assert above_noise(found).low > 0.01
        assert verdict(found).decision == "not_enough_evidence"

    @settings(deadline=None, max_examples=100)
    @given(
        compared=st.integers(0, 20_000),
        differ=st.floats(0, 0.05),
        noise=st.floats(0, 0.05),
        missing=st.floats(0.0527, 0.9),
    )
    def test_whatever_the_figures_95_percent_are_needed(
        self, compared: int, differ: float, noise: float, missing: float
    ):
        lost = int(compared * missing / (1 - missing)) + 1
        found = counts(compared, int(compared * differ), int(compared * noise), lost)
        assert found.coverage < 0.95
        assert verdict(found).decision != "promote"


class TestWithoutANoiseFloor:
    def test_it_is_said_and_every_difference_counts(self):
        found = verdict(alone(10_000, 30))
        assert found.decision == "promote"
        assert "No noise floor was measured" in found.reason

    def test_noise_that_nobody_measured_excuses_nothing(self):
        found = verdict(alone(10_000, 200))
        assert found.decision == "dont"
        assert "no noise floor was measured" in found.reason


class TestOtherGrounds:
    def test_more_failures(self):
        found = verdict(counts(), errors=ErrorCounts(10_000, 10, 200).figures(0.95))
        assert found.decision == "dont"
        assert found.reason.startswith("The candidate fails on 1.90 pp more of the requests")

    def test_failures_that_are_not_known(self):
        found = verdict(counts(), errors=ErrorCounts(100, 0, 0).figures(0.95))
        assert found.decision == "not_enough_evidence"

    def test_a_slower_p99(self):
        found = verdict(counts(), ratios=SLOW)
        assert found.decision == "dont"
        assert "p99 is 1.50× the primary’s" in found.reason

    def test_a_p99_of_too_few_pairs(self):
        found = verdict(counts(), ratios=FEW)
        assert found.decision == "not_enough_evidence"
        assert "0.70× or more" in found.reason

    def test_latencies_that_nobody_knows(self):
        assert verdict(counts(), ratios=()).decision == "not_enough_evidence"

    def test_one_tenant_that_surely_suffers(self):
        harm = Interval(0.2, 0.15, 0.25)
        dimension = Dimension(
            "tenant", (Segment("acme", 500, 500, 100, harm, harm, True),), None, 1
        )
        found = verdict(counts(), dimensions=(dimension,))
        assert found.decision == "dont"
        assert "tenant acme by 20.00 pp" in found.reason

    def test_all_grounds_are_named(self):
        found = verdict(counts(differ=300), ratios=SLOW)
        assert "2.00 pp more" in found.reason
        assert "p99" in found.reason


def analysis(*metrics: dict[str, Any]) -> Analysis:
    return Analysis.model_validate(
        {"baseline": "stable", "minSamples": 800, "confidence": 0.99, "metrics": metrics}
    )


def test_the_bounds_are_those_of_the_rollout():
    found = criteria_of(
        analysis(
            {"name": "disagreement", "maxAboveNoise": "2pp"},
            {"name": "error_rate", "maxDelta": "0.1pp"},
            {"name": "latency_p50", "maxRatio": 1.1},
            {"name": "latency_p99", "maxRatio": 1.5},
        )
    )
    assert (found.max_above_noise, found.max_error_delta) == (0.02, 0.001)
    assert found.max_latency_ratios == ((0.5, 1.1), (0.99, 1.5))
    assert (found.min_samples, found.level, found.min_coverage) == (800, 0.99, 0.95)


def test_what_a_rollout_has_no_metric_for_has_the_default_bound():
    found = criteria_of(analysis({"name": "latency_p90", "maxRatio": 1.3}))
    assert (found.max_above_noise, found.max_error_delta) == (0.01, 0.005)
    assert found.max_latency_ratios == ((0.9, 1.3),)


def test_the_bound_of_the_route_decides():
    found = counts(differ=250)  # 1.5 pp above noise
    decisions = [
        verdict(found, criteria=Criteria(max_above_noise=bound)).decision
        for bound in (0.005, 0.015, 0.03)
    ]
    assert decisions == ["dont", "not_enough_evidence", "promote"]


class TestOverManySeeds:
    """Each draws 10,000 pairs, half of them with noise, of which 1 % differ by themselves."""

    def decisions(self, flips: float) -> Counter[str]:
        rng = np.random.default_rng(11)
        found: Counter[str] = Counter()
        for _ in range(200):
            both, candidate, noise, neither = rng.multinomial(
                5000,
                [flips * 0.01, flips * 0.99, (1 - flips) * 0.01, (1 - flips) * 0.99],
            )
            differ = int(rng.binomial(5000, flips))
            drawn = (both, candidate, noise, neither, differ, 5000 - differ, 10_000)
            found[verdict(PairCounts(*map(int, drawn))).decision] += 1
        return found

    def test_three_percent_of_flips_are_advised_against(self):
        assert self.decisions(0.03)["dont"] >= 195

    def test_an_equal_candidate_is_promoted(self):
        assert self.decisions(0.01)["promote"] >= 195

    def test_one_that_differs_by_just_the_bound_is_rarely_promoted_or_advised_against(self):
        found = self.decisions(0.02)
        assert found["promote"] <= 11  # 2.5 % of 200, and two and a half standard deviations
        assert found["dont"] <= 11
