"""What a person can do to a rollout. Each change names who made it."""

from typing import Any

from protos.errors import invalid
from protos.route.rollout import Rollout
from routing.rollout.event import Event
from routing.rollout.state import TERMINAL, RolloutState
from routing.rollout.steps import finish, proceed
from routing.rollout.transition import move

Changed = tuple[RolloutState, Event]


def pause(state: RolloutState, now: float, actor: str) -> Changed:
    """Stops the steps; the candidate keeps its traffic, and harm is still looked for.

    Raises INVALID for a rollout that is paused or over.
    """
    _check_under_way(state)
    if state.status == "paused":
        raise invalid(f"the rollout of route {state.route} is paused already")
    return move(
        state,
        "paused",
        now,
        actor=actor,
        action="pause",
        reason=f"paused by {actor}",
        before_pause=state.status,
    )


def resume(state: RolloutState, rollout: Rollout, compared: int, now: float, actor: str) -> Changed:
    """Back to what a pause interrupted; from where it waits or is held, on to the next step.

    `compared` pairs were compared so far.

    Whoever resumes a rollout that is held for harm answers for what was seen: evidence begins
    anew, since the old one would hold it again at once. Raises INVALID for a rollout that is over
    or isn't stopped.
    """
    _check_under_way(state)
    if state.status == "progressing":
        raise invalid(f"the rollout of route {state.route} isn't stopped: it goes on by itself")
    reason = f"resumed by {actor}"
    if state.status == "paused":
        # Its step has all of its time again: who resumes wants to see it run, not end at once.
        return move(
            state,
            state.before_pause,
            now,
            actor=actor,
            action="resume",
            reason=reason,
            step_started=now,
        )
    anew: dict[str, Any] = {}
    if state.harm:
        anew, compared = {"since": now, "weight_since": now}, 0
    return proceed(
        state, rollout, now, compared, actor=actor, action="resume", reason=reason, **anew
    )


def abort(state: RolloutState, now: float, actor: str) -> Changed:
    """Takes all traffic from the candidate, for good; raises INVALID for a rollout that is over."""
    _check_under_way(state)
    return finish(state, "aborted", now, actor=actor, action="abort", reason=f"aborted by {actor}")


def _check_under_way(state: RolloutState) -> None:
    if state.status in TERMINAL:
        how = state.status.replace("_", " ")
        raise invalid(
            f"the rollout of route {state.route} is {how}: change the route to begin another"
        )
