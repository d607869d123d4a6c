"""Whatever people do and the evidence says, in any order and at any time."""

import re
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from protos.errors import PenstockError
from routing.rollout.advance import advance
from routing.rollout.begin import begin
from routing.rollout.command import abort, pause, resume
from routing.rollout.event import Event
from routing.rollout.state import TERMINAL, TRANSITIONS, RolloutState
from tests.routing.rollout.made_routes import (
    ANALYSIS,
    CANARY,
    DISAGREEMENT,
    ERRORS,
    GOOD,
    HARM,
    MIRROR,
    NOTHING,
    PAUSE,
    UNDECIDED,
    route,
)

WHO = "ada@risk"
DOCUMENT = Path(__file__).parents[3] / "docs" / "rollouts.md"
STEPS = st.sampled_from(
    [MIRROR, CANARY, ANALYSIS, PAUSE, {"pause": {"for": "1m"}}, {"setWeight": 50}, {"setWeight": 0}]
)


class Rollouts(RuleBasedStateMachine):
    @initialize(
        steps=st.lists(STEPS, min_size=1, max_size=6),
        metrics=st.sampled_from([(ERRORS,), (ERRORS, DISAGREEMENT)]),
        on_fail=st.sampled_from(["rollback", "hold"]),
        on_inconclusive=st.sampled_from(["hold", "rollback", "proceed"]),
    )
    def begins(self, steps, metrics, on_fail, on_inconclusive):
        document = route(*steps, metrics=metrics, onFail=on_fail, onInconclusive=on_inconclusive)
        assert document.spec.rollout is not None
        self.rollout = document.spec.rollout
        self.now = 1e9
        self.state = begin(document, self.now)
        self.events: list[Event] = []

    @rule(
        evidence=st.sampled_from([NOTHING, UNDECIDED, GOOD, HARM]),
        seconds=st.sampled_from([-3_600.0, 0.0, 1.0, 60.0, 900.0, 7_200.0]),
    )
    def look(self, evidence, seconds):
        self.now += seconds
        before = self.state
        state, events = advance(before, self.rollout, evidence, self.now)
        if evidence is NOTHING:
            undecided = self.rollout.steps[before.step].analysis is not None
            assert not undecided or state.step == before.step
        self.took(before, state, events)

    @rule(command=st.sampled_from([pause, abort, None]))
    def act(self, command):
        before = self.state
        try:
            if command is None:
                state, event = resume(before, self.rollout, 600, self.now, WHO)
            else:
                state, event = command(before, self.now, WHO)
        except PenstockError:
            assert before.status in (*TERMINAL, "progressing", "paused")
            return
        assert event.actor == WHO
        self.took(before, state, [event])

    def took(self, before: RolloutState, after: RolloutState, events: list[Event]) -> None:
        assert (after == before) == (not events)
        assert after.version == before.version + len(events)
        assert before.status not in TERMINAL or after == before
        status = before.status
        for event in events:
            assert event.from_status == status
            assert event.to_status in TRANSITIONS[event.from_status]
            assert (event.rollout, event.route) == (before.id, before.route)
            status = event.to_status
        assert status == after.status
        if events:
            assert (events[-1].step, events[-1].weight) == (after.step, after.weight)
            assert after.reason == events[-1].reason
        self.state = after
        self.events += events

    @invariant()
    def the_candidate_has_what_the_steps_so_far_gave_it(self):
        state = self.state
        given = [step.set_weight for step in self.rollout.steps[: state.step + 1]]
        asked = [0.0, *(weight for weight in given if weight is not None)]
        if state.status in ("rolled_back", "aborted"):
            assert state.weight == 0
        elif state.status == "completed":
            assert state.weight == 100
        else:
            assert state.weight == asked[-1]

    @invariant()
    def it_mirrors_only_after_a_mirror_step_and_never_when_it_is_over(self):
        state = self.state
        mirrors = [step.mirror is not None for step in self.rollout.steps[: state.step + 1]]
        assert state.mirror_percent == 0 or (any(mirrors) and state.status not in TERMINAL)

    @invariant()
    def every_version_has_its_event(self):
        assert self.state.version == 1 + len(self.events)


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)
TestRollouts.pytestmark = [pytest.mark.timeout(60)]


def test_the_documentation_draws_the_table():
    drawn = re.findall(r"^    (\w+) --> (\w+)$", DOCUMENT.read_text(), re.MULTILINE)
    assert drawn == [(before, after) for before, to in TRANSITIONS.items() for after in to]
