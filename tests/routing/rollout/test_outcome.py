"""When a step is over, and when it can't tell."""

from dataclasses import replace

import pytest

from routing.rollout.begin import begin
from routing.rollout.evidence import Evidence, findings
from routing.rollout.identity import parts
from routing.rollout.outcome import Outcome, outcome
from tests.routing.rollout.made_routes import (
    ANALYSIS,
    CANARY,
    DISAGREEMENT,
    ERRORS,
    GOOD,
    MIRROR,
    NOTHING,
    PAUSE,
    UNDECIDED,
    arm,
    pairs,
    route,
)

QUARTER = 900.0


def after(
    elapsed: float, step: dict, evidence: Evidence, metrics=(ERRORS,), before: int = 0
) -> Outcome:
    """What the step has come to; `before` it so many pairs were compared."""
    document = route(step, metrics=metrics)
    asked, _, _ = parts(document)
    state = replace(begin(document, 100.0), step_compared=before)
    return outcome(state, asked, evidence, findings(asked, evidence), 100.0 + elapsed)


def test_a_weight_is_done_once_it_is_set():
    assert after(0.0, CANARY, NOTHING).verdict == "done"


def test_an_analysis_takes_its_time_however_good_the_evidence():
    assert after(QUARTER - 1, ANALYSIS, GOOD).verdict == "busy"
    assert after(QUARTER, ANALYSIS, GOOD).verdict == "done"


def test_an_analysis_without_traffic_is_inconclusive_and_says_that_there_is_no_data():
    came_to = after(QUARTER, ANALYSIS, NOTHING)
    assert (came_to.verdict, came_to.data) == ("inconclusive", False)
    assert came_to.reason.startswith("error_rate: the candidate")


def test_an_analysis_that_cannot_tell_yet_has_data():
    came_to = after(QUARTER, ANALYSIS, UNDECIDED)
    assert (came_to.verdict, came_to.data) == ("inconclusive", True)


def test_one_metric_that_passes_does_not_speak_for_another():
    came_to = after(
        QUARTER, ANALYSIS, Evidence(GOOD.candidate, GOOD.baseline), (ERRORS, DISAGREEMENT)
    )
    assert (came_to.verdict, came_to.data) == ("inconclusive", False)
    assert "disagreement" in came_to.reason
    assert "error_rate" not in came_to.reason


def test_each_arm_needs_its_samples():
    few = Evidence(arm(499), arm(100_000))
    assert "only 499 of 500" in after(QUARTER, ANALYSIS, few).reason


def test_a_mirror_is_done_with_its_samples_and_not_before():
    assert after(5.0, MIRROR, Evidence(pairs=pairs(1_999))).verdict == "busy"
    assert after(5.0, MIRROR, Evidence(pairs=pairs(2_000))).verdict == "done"


def test_a_mirror_needs_samples_of_its_own_beside_those_of_earlier_steps():
    some, enough = Evidence(pairs=pairs(4_999)), Evidence(pairs=pairs(5_000))
    came_to = after(5.0, MIRROR, some, before=3_000)
    assert (came_to.verdict, came_to.reason) == ("busy", "1999 of 2000 pairs were compared")
    assert after(5.0, MIRROR, enough, before=3_000).verdict == "done"
    nothing_new = after(3_600.0, MIRROR, some, before=4_999)
    assert (nothing_new.verdict, nothing_new.data) == ("inconclusive", False)


def test_a_mirror_that_gets_no_samples_in_its_time_is_inconclusive():
    came_to = after(3_600.0, MIRROR, Evidence(pairs=pairs(150)))
    assert (came_to.verdict, came_to.data) == ("inconclusive", True)
    assert came_to.reason == "150 of 2000 pairs were compared in 3600 s"
    assert not after(3_600.0, MIRROR, NOTHING).data


def test_pairs_that_could_not_be_compared_may_hide_anything():
    holes = Evidence(pairs=pairs(2_000, sampled=2_200))
    came_to = after(5.0, MIRROR, holes, (DISAGREEMENT,))
    assert came_to.verdict == "inconclusive"
    assert "only 90.9% of the mirrored requests" in came_to.reason
    assert after(5.0, MIRROR, holes).verdict == "done"  # nobody judges disagreement


@pytest.mark.parametrize(("elapsed", "verdict"), [(0.0, "wait"), (59.0, "wait"), (60.0, "done")])
def test_a_pause_waits_for_its_time(elapsed: float, verdict: str):
    assert after(elapsed, {"pause": {"for": "1m"}}, NOTHING).verdict == verdict


def test_a_pause_without_a_time_waits_for_a_person():
    assert after(1e9, PAUSE, GOOD).verdict == "wait"
