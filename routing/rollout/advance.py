"""What a rollout does next, given what was seen. Looking often costs no certainty.

Harm is looked for before anything else, whatever the step: a canary that hurts doesn't wait for
its analysis.
"""

from collections.abc import Sequence

from protos.route.rollout import Rollout
from routing.evidence.judge import Finding
from routing.rollout.event import CONTROLLER, Event
from routing.rollout.evidence import Evidence, findings
from routing.rollout.outcome import Outcome, disagreement_passes, outcome
from routing.rollout.state import TERMINAL, RolloutState
from routing.rollout.steps import finish, proceed
from routing.rollout.transition import move

Change = tuple[RolloutState, Event]


def advance(
    state: RolloutState, rollout: Rollout, evidence: Evidence, now: float
) -> tuple[RolloutState, list[Event]]:
    """The state after one look, and the record of each change on the way; mostly none.

    `now` is Unix time in seconds; a clock that is put back makes steps longer, and no more. A
    rollout that is over stays as it is.
    """
    events: list[Event] = []
    if state.status in TERMINAL:
        return state, events
    found = findings(rollout, evidence)
    if any(finding.verdict == "fail" for finding in found):
        change = _harmed(state, rollout, found, now)
        return (state, events) if change is None else (change[0], [change[1]])
    weight = state.weight
    while state.weight == weight:  # what was seen at one weight says nothing of the next
        change = _next(state, rollout, evidence, found, now)
        if change is None:
            break
        state, event = change
        events.append(event)
    return state, events


def _harmed(
    state: RolloutState, rollout: Rollout, found: Sequence[Finding], now: float
) -> Change | None:
    reason = "; ".join(finding.reason for finding in found if finding.verdict == "fail")
    if rollout.analysis.on_fail == "rollback":
        return finish(state, "rolled_back", now, actor=CONTROLLER, action="rollback", reason=reason)
    if state.harm:
        return None
    return move(state, "held", now, actor=CONTROLLER, action="hold", reason=reason, harm=True)


def _next(
    state: RolloutState,
    rollout: Rollout,
    evidence: Evidence,
    found: Sequence[Finding],
    now: float,
) -> Change | None:
    if state.status in TERMINAL or state.status == "paused" or state.harm:
        return None
    step = rollout.steps[state.step]
    outlived = state.mirror_percent > 0 and step.mirror is None
    if outlived and state.status == "progressing" and disagreement_passes(found):
        return move(
            state,
            "progressing",
            now,
            actor=CONTROLLER,
            action="end mirror",
            reason="enough answers were compared",
            mirror_percent=0.0,
        )
    came_to = outcome(state, rollout, evidence, found, now)
    compared = evidence.pairs.compared
    if came_to.verdict == "done":
        return _step(state, rollout, came_to, compared, now)
    if came_to.verdict == "inconclusive":
        return _undecided(state, rollout, came_to, compared, now)
    if came_to.verdict == "wait" and state.status == "progressing":
        return move(state, "waiting", now, actor=CONTROLLER, action="wait", reason=came_to.reason)
    return None


def _step(
    state: RolloutState, rollout: Rollout, came_to: Outcome, compared: int, now: float
) -> Change:
    return proceed(
        state,
        rollout,
        now,
        compared,
        actor=CONTROLLER,
        action="step",
        reason=came_to.reason,
    )


def _undecided(
    state: RolloutState, rollout: Rollout, came_to: Outcome, compared: int, now: float
) -> Change | None:
    """As `onInconclusive` has it, but nothing proceeds without any evidence."""
    what = rollout.analysis.on_inconclusive
    if what == "rollback":
        return finish(
            state, "rolled_back", now, actor=CONTROLLER, action="rollback", reason=came_to.reason
        )
    if what == "proceed" and came_to.data:
        return _step(state, rollout, came_to, compared, now)
    if state.status == "held":
        return None
    return move(state, "held", now, actor=CONTROLLER, action="hold", reason=came_to.reason)
