"""Failures, times and scores: who is blamed for what, and how sure that is."""

from dataclasses import replace
from math import inf, nan
from random import Random

import numpy as np
import pytest

from routing.shadow.figures import (
    OTHER,
    ErrorCounts,
    Latencies,
    MeasureCounts,
    Tally,
    faulty,
    scores,
)
from routing.shadow.record import PairRecord, Side
from routing.shadow.reservoir import Reservoir
from tests.gateway.reports.made_records import Made, records

ANSWERED = Side(0.01, 0.01)


@pytest.fixture
def record() -> PairRecord:
    return next(records(1, Made(dropped=0, failed=0, primary_failed=0)))


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        ("model_failed", True),
        ("deadline", True),
        ("something new", True),
        ("invalid", False),
        ("cancelled", False),
        ("overloaded", False),
    ],
)
def test_only_a_fault_of_the_server_is_a_failure(error: str, blamed: bool):
    assert faulty(error) is blamed


class TestErrors:
    def test_a_candidate_that_fails_where_the_primary_answered_is_counted(self, record: PairRecord):
        counts = ErrorCounts()
        failed = replace(record, status="candidate_failed", candidate=Side(error="invalid"))
        for each in (record, failed):
            counts.add(each)
        figures = counts.figures(0.95)
        assert (figures.known, figures.candidate.estimate) == (2, 0.5)
        assert figures.kinds == (("invalid", 1),)

    def test_a_primary_that_fails_where_the_candidate_answered_speaks_for_it(
        self, record: PairRecord
    ):
        counts = ErrorCounts()
        broken = Side(0.01, error="lost")
        counts.add(replace(record, status="primary_failed", primary=broken, candidate=ANSWERED))
        assert counts.figures(0.95).delta.estimate == -1.0

    @pytest.mark.parametrize(
        ("primary", "candidate"),
        [("lost", Side()), ("invalid", ANSWERED), ("cancelled", ANSWERED)],
    )
    def test_what_nobody_knows_or_a_client_did_is_not_counted(
        self, record: PairRecord, primary: str, candidate: Side
    ):
        counts = ErrorCounts()
        side = Side(0.01, error=primary)
        counts.add(replace(record, status="primary_failed", primary=side, candidate=candidate))
        counts.add(replace(record, status="dropped"))
        assert counts.figures(0.95).known == 0

    def test_the_interval_of_the_difference_covers_it(self):
        rng = np.random.default_rng(2)
        covered = 0
        for failed, broken in zip(
            rng.binomial(2000, 0.02, 400), rng.binomial(2000, 0.01, 400), strict=True
        ):
            counts = ErrorCounts(2000, int(broken), int(failed))
            covered += 0.01 in counts.figures(0.95).delta
        assert covered >= 372  # 95 % of 400, less two standard deviations


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


def test_a_tally_is_bounded_and_loses_no_count():
    tally = Tally(kept=3)
    for text in ("a", "b", "b", "c", "d", "e"):
        tally.add(text)
    assert tally.most(2) == (("b", 2), ("a", 1), (OTHER, 3))


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
