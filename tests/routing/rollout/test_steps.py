"""What entering a step and the end do to the candidate's traffic."""

from dataclasses import replace

from routing.rollout.begin import begin
from routing.rollout.steps import finish, proceed
from tests.routing.rollout.made_routes import (
    ANALYSIS,
    CANARY,
    DISAGREEMENT,
    ERRORS,
    MIRROR,
    rollout,
    route,
)

STEPS = (MIRROR, CANARY, ANALYSIS)


def following(step: int = 0, metrics=(ERRORS,), steps=STEPS, **state):
    begun = begin(route(*steps, metrics=metrics), 0.0)
    there, event = proceed(
        replace(begun, step=step, **state),
        rollout(*steps, metrics=metrics),
        60.0,
        7,
        actor="controller",
        action="step",
        reason="because",
    )
    assert event.step == there.step
    return there


def test_a_step_remembers_how_many_pairs_were_compared_before_it():
    assert begin(route(*STEPS), 0.0).step_compared == 0
    assert following().step_compared == 7


def test_a_weight_begins_a_new_comparison_of_the_arms_and_keeps_the_pairs():
    state = following()
    assert (state.step, state.weight, state.step_started) == (1, 5.0, 60.0)
    assert (state.since, state.weight_since) == (0.0, 60.0)


def test_the_same_weight_again_keeps_the_comparison():
    state = following(steps=(CANARY, CANARY))
    assert (state.step_started, state.weight_since) == (60.0, 0.0)


def test_a_mirror_ends_with_its_step():
    assert following().mirror_percent == 0.0


def test_where_disagreement_is_judged_the_mirror_outlives_its_step():
    assert following(metrics=(ERRORS, DISAGREEMENT)).mirror_percent == 20.0


def test_after_the_last_step_the_candidate_has_everything():
    state = following(step=2, weight=5.0)
    assert (state.status, state.weight, state.mirror_percent) == ("completed", 100.0, 0.0)


def test_whoever_does_not_complete_gets_nothing():
    begun = replace(begin(route(), 0.0), weight=50.0)
    for status in ("rolled_back", "aborted"):
        state, _ = finish(begun, status, 60.0, actor="a", action="b", reason="c")
        assert (state.weight, state.mirror_percent) == (0.0, 0.0)
