"""What a person can do, and from where."""

from dataclasses import replace

import pytest

from protos.errors import Kind, PenstockError
from routing.rollout.begin import begin
from routing.rollout.command import abort, pause, resume
from routing.rollout.state import TERMINAL, RolloutState
from tests.routing.rollout.made_routes import ANALYSIS, CANARY, PAUSE, rollout, route

STEPS = (CANARY, ANALYSIS, PAUSE, {"setWeight": 50})
ROLLOUT = rollout(*STEPS)
WHO = "ada@risk"


def there(**state) -> RolloutState:
    return replace(begin(route(*STEPS), 0.0), **state)


def test_a_pause_keeps_the_traffic_and_is_recorded_under_a_name():
    state, event = pause(there(step=1), 60.0, WHO)
    assert (state.status, state.weight, state.step) == ("paused", 5.0, 1)
    assert (event.actor, event.action, event.at) == (WHO, "pause", 60.0)


@pytest.mark.parametrize("status", ["progressing", "waiting", "held"])
def test_resuming_a_pause_leads_back_to_where_it_was_made(status):
    paused, _ = pause(there(step=1, status=status), 60.0, WHO)
    state, event = resume(paused, ROLLOUT, 7, 90.0, WHO)
    assert (state.status, state.step) == (status, 1)
    assert state.step_started == 90.0  # with all of its time before it
    assert event.action == "resume"


@pytest.mark.parametrize("status", ["waiting", "held"])
def test_resuming_from_where_it_waits_goes_on_to_the_next_step(status):
    state, event = resume(there(step=2, status=status), ROLLOUT, 7, 90.0, WHO)
    assert (state.status, state.step, state.weight) == ("progressing", 3, 50.0)
    assert state.step_compared == 7
    assert (event.actor, event.weight) == (WHO, 50.0)


def test_resuming_from_the_last_step_completes():
    state, event = resume(there(step=3, status="held", weight=50.0), ROLLOUT, 7, 90.0, WHO)
    assert (state.status, state.weight, event.actor) == ("completed", 100.0, WHO)


def test_who_resumes_after_harm_answers_for_what_was_seen():
    state, _ = resume(there(step=1, status="held", harm=True), ROLLOUT, 7, 90.0, WHO)
    assert (state.harm, state.since, state.weight_since) == (False, 90.0, 90.0)
    assert state.step_compared == 0  # of the pairs since then


def test_who_resumes_after_too_little_evidence_keeps_it():
    state, _ = resume(there(step=1, status="held"), ROLLOUT, 7, 90.0, WHO)
    assert (state.since, state.weight_since) == (0.0, 0.0)


def test_harm_outlives_a_pause():
    paused, _ = pause(there(step=1, status="held", harm=True), 60.0, WHO)
    assert resume(paused, ROLLOUT, 7, 90.0, WHO)[0].harm


@pytest.mark.parametrize("status", ["progressing", "waiting", "paused", "held"])
def test_aborting_takes_all_traffic(status):
    state, event = abort(there(status=status, mirror_percent=20.0), 90.0, WHO)
    assert (state.status, state.weight, state.mirror_percent) == ("aborted", 0.0, 0.0)
    assert event.actor == WHO


@pytest.mark.parametrize("status", sorted(TERMINAL))
@pytest.mark.parametrize(
    "act",
    [
        lambda state: pause(state, 0.0, WHO),
        lambda state: resume(state, ROLLOUT, 7, 0.0, WHO),
        lambda state: abort(state, 0.0, WHO),
    ],
    ids=["pause", "resume", "abort"],
)
def test_what_is_over_stays_so_and_the_refusal_says_what_to_do(act, status):
    with pytest.raises(PenstockError, match="change the route to begin another") as refused:
        act(there(status=status))
    assert refused.value.kind is Kind.INVALID


def test_commands_that_change_nothing_are_refused():
    with pytest.raises(PenstockError, match="goes on by itself"):
        resume(there(), ROLLOUT, 7, 0.0, WHO)
    with pytest.raises(PenstockError, match="paused already"):
        pause(there(status="paused"), 0.0, WHO)
