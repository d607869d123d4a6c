"""Failures: who is blamed for what, and how sure that is."""

from dataclasses import replace

import numpy as np
import pytest

from routing.shadow.failures import ErrorCounts, faulty
from routing.shadow.record import PairRecord, Side
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
