"""The one way in which a rollout's state changes."""

from dataclasses import replace
from typing import Any

from routing.rollout.event import Event
from routing.rollout.state import TRANSITIONS, RolloutState, Status


class IllegalTransition(Exception):
    """A change that `TRANSITIONS` doesn't have: a mistake of the program, never of a person."""


def move(
    state: RolloutState,
    status: Status,
    now: float,
    *,
    actor: str,
    action: str,
    reason: str,
    **changes: Any,
) -> tuple[RolloutState, Event]:
    """The state with `status` and `changes`, one version on, and the record of it.

    Raises IllegalTransition.
    """
    if status not in TRANSITIONS[state.status]:
        raise IllegalTransition(f"{state.route}: {state.status} to {status}")
    moved = replace(state, status=status, reason=reason, version=state.version + 1, **changes)
    return moved, Event(
        at=now,
        route=state.route,
        rollout=state.id,
        actor=actor,
        action=action,
        from_status=state.status,
        to_status=status,
        step=moved.step,
        weight=moved.weight,
        reason=reason,
    )
