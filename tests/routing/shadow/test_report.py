"""From records to a report: what was planted is found, nothing is mixed, nothing grows."""

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from math import inf, nan
from random import Random

import pytest

from routing.shadow.collect import MEASURES, SAMPLE, WORST, Collector
from routing.shadow.record import Outcome, PairRecord, Side
from routing.shadow.report import Report, build_reports
from routing.shadow.segments import KEPT
from routing.shadow.timeline import MOMENTS
from routing.shadow.verdict import Criteria
from tests.gateway.reports.made_records import DAY, NOW, SINCE, Made, records


def reports(found: Iterable[PairRecord], mirror: str | None = None) -> tuple[Report, ...]:
    return build_reports(
        found,
        route="fraud",
        mirror=mirror,
        now=NOW,
        since=SINCE,
        criteria=Criteria(),
        rng=Random(1),
    )


def report(n: int, made: Made) -> Report:
    (only,) = reports(records(n, made))
    return only


class TestVerdicts:
    def test_three_percent_of_flips_over_one_percent_of_noise_are_too_many(self):
        found = report(10_000, Made(flips=0.03, noise=0.01))
        assert found.verdict.decision == "dont"
        assert 0.02 in found.disagreement.above_noise
        assert found.disagreement.above_noise.width <= 0.01

    def test_an_equal_candidate_is_promoted(self):
        assert report(10_000, Made(flips=0.01, noise=0.01)).verdict.decision == "promote"

    def test_the_same_flips_in_too_few_pairs_are_no_evidence(self):
        assert report(400, Made(flips=0.015)).verdict.decision == "not_enough_evidence"

    def test_dropped_copies_are_no_agreement(self):
        found = report(5000, Made(flips=0.0, noise=0.0, dropped=0.08))
        assert found.verdict.decision == "not_enough_evidence"
        assert found.verdict.reason.startswith("Only 9")

    def test_a_candidate_that_fails_is_advised_against(self):
        assert report(10_000, Made(failed=0.02)).verdict.decision == "dont"

    def test_a_slow_candidate_is_advised_against(self):
        assert report(10_000, Made(slower=1.4)).verdict.decision == "dont"

    def test_waiting_longer_in_the_queue_is_not_being_slow(self):
        waited = (
            replace(
                each,
                candidate=replace(
                    each.candidate,
                    seconds=each.candidate.seconds + 0.05,
                    queue_seconds=each.candidate.queue_seconds + 0.05,
                ),
            )
            for each in records(10_000, Made(failed=0))
        )
        (found,) = reports(waited)
        assert found.verdict.decision == "promote"
        assert found.latency is not None
        assert found.latency.comparison.candidate.p50 > 0.05

    def test_one_tenant_in_eight_that_suffers_is_found(self):
        found = report(20_000, Made(flips=0.008, flips_of={"umbrella": 0.1}))
        assert found.verdict.decision == "dont"
        flagged = [s.value for each in found.dimensions for s in each.segments if s.flagged]
        assert "umbrella" in flagged

    @pytest.mark.parametrize("label", ["", "fraud"])
    def test_few_pairs_that_differ_among_many_that_were_not_compared_are_no_evidence(
        self, label: str
    ):
        made = Made(flips=0.0, noise=0.0, noise_sample=0.0, failed=0, dropped=0, primary_failed=0)
        found = []
        for index, each in enumerate(records(6000, made)):
            if index < 600:
                outcome = Outcome(index >= 36, label=label)
                status = "compared"
            else:
                outcome, status = Outcome(None, reason="it isn't JSON"), "incomparable"
            each = replace(each, tenant="t", status=status, noise=None, outcome=outcome)
            found.append(each)
        (only,) = reports(found)
        assert only.verdict.decision == "not_enough_evidence"
        assert {each.name: each.state for each in only.verdict.checks}["segments"] == "met"


class TestCounts:
    def test_every_record_is_in_one_status(self):
        made = Made(dropped=0.05, failed=0.03, incomparable=0.02, primary_failed=0.04)
        samples = report(5000, made).samples
        parts = (samples.compared, samples.dropped, samples.failed, samples.incomparable)
        assert sum(parts) == samples.sampled == 5000 - samples.primary_failed
        assert all(parts)
        assert samples.coverage == samples.compared / samples.sampled
        assert sum(n for _, n in samples.reasons) == samples.sampled - samples.compared

    def test_agreement_above_noise_is_never_more_than_all(self):
        agreement = report(4000, Made(flips=0.0, noise=0.1)).disagreement.agreement
        assert agreement.low <= agreement.estimate <= agreement.high <= 1.0

    def test_noise_that_was_not_measured_is_not_made_up(self):
        found = report(1000, Made(noise_sample=0.0))
        assert (found.disagreement.noise, found.samples.with_noise) == (None, 0)

    def test_the_timeline_holds_every_compared_pair(self):
        found = report(5000, Made())
        assert sum(each.compared for each in found.timeline) == found.samples.compared
        assert len(found.timeline) == 24

    def test_planted_drift_is_measured(self):
        found = report(5000, Made(drift=0.2))
        assert found.scores is not None
        assert found.scores.psi.low > 0.25

    def test_no_pair_at_all_makes_a_report_that_says_so(self):
        dropped = (replace(each, status="dropped") for each in records(50, Made(dropped=1.0)))
        (found,) = reports(dropped)
        assert found.verdict.decision == "not_enough_evidence"
        assert (found.latency, found.scores, found.timeline) == (None, None, ())


class TestTargets:
    def test_each_mirror_has_its_report(self):
        mixed = chain(records(300, Made(mirror="b")), records(200, Made(mirror="a")))
        found = reports(mixed)
        assert [(each.mirror, each.samples.sampled > 0) for each in found] == [
            ("a", True),
            ("b", True),
        ]
        assert reports(records(300, Made(mirror="b")), mirror="a") == ()

    def test_two_versions_of_a_candidate_do_not_mix(self):
        early = records(300, Made(version="5", flips=0.5))
        late = (replace(each, at=each.at + DAY) for each in records(300, Made(version="6")))
        first, second = reports(chain(early, late))
        assert (first.version, second.version) == ("5", "6")
        assert first.disagreement.raw.estimate > 10 * second.disagreement.raw.estimate

    def test_two_kinds_of_comparison_do_not_mix(self):
        early = (replace(each, kind="auto") for each in records(300, Made(flips=0.9, noise=0.5)))
        late = (replace(each, at=each.at + DAY) for each in records(300, Made()))
        first, second = reports(chain(early, late))
        assert (dict(first.kinds), dict(second.kinds)) == ({"auto": 300}, {"scores": 300})
        assert second.disagreement.noise.estimate < 0.2

    @pytest.mark.parametrize("known_first", [True, False])
    def test_copies_that_found_no_version_fail_with_the_one_that_was_meant(self, known_first: bool):
        known = list(records(100, Made(failed=0, dropped=0)))
        unknown = [
            replace(each, version="", status="candidate_failed", candidate=Side(error="not_found"))
            for each in known[:20]
        ]
        found = reports(known + unknown if known_first else unknown + known)
        assert [(each.version, each.samples.failed) for each in found] == [("5", 20)]

    def test_copies_that_found_no_version_fail_with_the_one_that_was_there_last(self):
        known = list(records(60, Made(failed=0, dropped=0, primary_failed=0)))
        status = {0: "failed", 20: "4", 30: "failed", 40: "4", 70: "5", 80: "failed", 90: "5"}
        found = []
        version = "4"
        for at in range(100):
            version = status.get(at, version)
            each = replace(known[at % 60], at=SINCE + at, version=version)
            if version == "failed":
                error = Side(error="unavailable")
                each = replace(each, version="", status="candidate_failed", candidate=error)
            found.append(each)
        assert [
            (each.version, each.samples.sampled, each.samples.failed) for each in reports(found)
        ] == [("4", 70, 30), ("5", 30, 10)]

    def test_a_version_that_is_no_more_reached_is_not_promoted(self):
        made = Made(flips=0.0, noise=0.0, failed=0, dropped=0, incomparable=0)
        known = list(records(3000, made))
        first = replace(known[0], version="4")
        gone = replace(known[1], version="", status="candidate_failed", candidate=Side(error="x"))
        later = [replace(each, version="5") for each in known]
        unreached = [
            replace(each, version="", status="candidate_failed", candidate=Side(error="x"))
            for each in known
        ]
        four, five = reports([first, gone, *later, *unreached])
        assert (four.samples.failed, five.samples.failed) == (1, 3000)
        assert five.verdict.decision == "dont"

    def test_other_routes_are_left_out(self):
        assert reports(records(10, Made(route="other"))) == ()


class TestWorst:
    def test_the_largest_distances_come_first_and_agreeing_pairs_never(self):
        found = list(records(3000, Made(flips=0.1)))
        worst = reports(found)[0].worst
        distances = [each.outcome.distance for each in worst]
        differing = sorted(
            (e.outcome.distance for e in found if e.outcome.agrees is False), reverse=True
        )
        assert distances == differing[:WORST]

    def test_a_distance_that_is_no_number_counts_as_the_largest(self):
        (record,) = records(1, Made(dropped=0, failed=0, primary_failed=0))
        odd = [
            replace(record, request_id=str(i), outcome=Outcome(False, distance))
            for i, distance in enumerate((1.0, nan, 2.0, inf))
        ]
        assert [each.request_id for each in reports(odd)[0].worst] == ["1", "3", "2", "0"]


class TestBounds:
    def test_what_is_remembered_does_not_grow_with_the_records(self):
        collector = Collector(SINCE, NOW, Random(1))
        (record,) = records(1, Made(flips=1.0, dropped=0, failed=0, primary_failed=0))
        for index in range(SAMPLE + 2000):
            label, distance = f"l{index}", float(index % 1000)
            outcome = Outcome(False, distance, {f"m{index}": 1.0}, f"reason {index}", label)
            at = record.at + index * 10
            collector.add(replace(record, at=at, tenant=f"t{index}", outcome=outcome))
        assert collector.counts.compared == SAMPLE + 2000
        assert len(collector.times.items) == SAMPLE
        assert len(collector.tenants.counts) <= KEPT
        assert len(collector.labels.counts) <= KEPT
        assert len(collector.timeline.counts) <= MOMENTS
        assert len(collector.measures) == MEASURES
        assert collector.measures_left_out == SAMPLE + 2000 - MEASURES
        assert len(collector.reasons_differ.counts) <= 257
        assert len(collector.worst()) == WORST

    def test_fifty_thousand_records_take_less_than_three_seconds(self):
        made = list(records(50_000))
        began = time.process_time()
        reports(made)
        assert time.process_time() - began < 3.0

    def test_the_same_records_and_seed_make_the_same_report(self):
        first, second = (report(3000, Made()) for _ in range(2))
        assert first.verdict == second.verdict
        assert first.service_time is not None
        assert second.service_time is not None
        assert first.service_time.ratios == second.service_time.ratios
