"""Into a step, on to the next, and to the end: what each does to the candidate's traffic."""

from typing import Any

from protos.route.rollout import Rollout
from routing.rollout.event import Event
from routing.rollout.state import RolloutState, Status
from routing.rollout.transition import move

ALL = 100.0  # percent


def proceed(
    state: RolloutState,
    rollout: Rollout,
    now: float,
    compared: int,
    *,
    actor: str,
    action: str,
    reason: str,
    **changes: Any,
) -> tuple[RolloutState, Event]:
    """To the next step; after the last one the candidate has all of the traffic.

    `compared` pairs were compared so far: a step that mirrors needs its own beside them.
    """
    following = state.step + 1
    if following == len(rollout.steps):
        return finish(state, "completed", now, actor=actor, action="complete", reason=reason)
    changes |= entered(state, rollout, following, now, compared)
    return move(
        state, "progressing", now, actor=actor, action=action, reason=reason, harm=False, **changes
    )


def finish(
    state: RolloutState, status: Status, now: float, *, actor: str, action: str, reason: str
) -> tuple[RolloutState, Event]:
    """All of the traffic for a candidate that completed its steps, none for any other."""
    weight = ALL if status == "completed" else 0.0
    return move(
        state,
        status,
        now,
        actor=actor,
        action=action,
        reason=reason,
        weight=weight,
        mirror_percent=0.0,
        harm=False,
    )


def entered(
    state: RolloutState, rollout: Rollout, index: int, now: float, compared: int
) -> dict[str, Any]:
    """What changes when the step begins, and `compared` pairs have been compared.

    Where disagreement is judged, mirroring outlives its step: without new pairs an undecided
    disagreement would stay so, and no analysis could ever pass. `advance` ends it.
    """
    step = rollout.steps[index]
    changes: dict[str, Any] = {"step": index, "step_started": now, "step_compared": compared}
    if step.mirror is not None:
        changes["mirror_percent"] = step.mirror.percent
    elif not judges_disagreement(rollout):
        changes["mirror_percent"] = 0.0
    if step.set_weight is not None and step.set_weight != state.weight:
        changes |= {"weight": step.set_weight, "weight_since": now}
    return changes


def judges_disagreement(rollout: Rollout) -> bool:
    return any(metric.name == "disagreement" for metric in rollout.analysis.metrics)
