"""How rollouts begin, alone and in place of another."""

from dataclasses import replace

from routing.rollout.begin import begin, begin_over
from tests.routing.rollout.made_routes import ANALYSIS, CANARY, MIRROR, route


def test_before_the_first_weight_the_candidate_has_no_traffic():
    state = begin(route(ANALYSIS, CANARY), 100.0)
    assert (state.status, state.step, state.weight, state.mirror_percent) == (
        "progressing",
        0,
        0.0,
        0.0,
    )
    assert state.started == state.step_started == state.since == state.weight_since == 100.0


def test_the_first_step_is_in_force_at_once():
    assert begin(route(CANARY, ANALYSIS), 0.0).weight == 5.0
    assert begin(route(MIRROR, CANARY), 0.0).mirror_percent == 20.0


def test_arms_are_known_by_their_names():
    state = begin(route(), 0.0)
    assert (state.route, state.candidate, state.baseline) == ("fraud", "canary", "stable")


def test_a_rollout_takes_the_place_of_one_under_way_and_both_changes_are_recorded():
    old = replace(begin(route(), 0.0), status="waiting", weight=50.0, version=8)
    state, (superseded, begun) = begin_over(old, route(version="5"), 9.0)
    assert (state.version, state.step, state.weight) == (9, 0, 0.0)
    assert (superseded.action, superseded.rollout, superseded.weight) == ("supersede", old.id, 0.0)
    assert (begun.action, begun.rollout, begun.to_status) == ("begin", state.id, "progressing")


def test_a_rollout_that_was_over_is_not_superseded():
    old = replace(begin(route(), 0.0), status="rolled_back", version=8)
    state, events = begin_over(old, route(version="5"), 9.0)
    assert state.version == 9
    assert [event.action for event in events] == ["begin"]


def test_the_first_rollout_of_a_route_is_version_one():
    state, events = begin_over(None, route(), 9.0)
    assert state.version == 1
    assert [event.action for event in events] == ["begin"]
