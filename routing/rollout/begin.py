"""How a rollout begins, and takes the place of one that the route no longer asks for."""

from dataclasses import replace

from protos.route.document import Route
from routing.rollout.event import CONTROLLER, Event
from routing.rollout.identity import parts, rollout_id
from routing.rollout.state import TERMINAL, RolloutState
from routing.rollout.steps import entered


def begin(route: Route, now: float) -> RolloutState:
    """The route's rollout at its first step; raises INVALID for a route without one.

    The candidate has no traffic unless that step gives it some.
    """
    rollout, candidate, baseline = parts(route)
    fresh = RolloutState(
        id=rollout_id(route),
        route=route.metadata.name,
        candidate=candidate.name,
        baseline=baseline.name,
        step=0,
        status="progressing",
        weight=0.0,
        mirror_percent=0.0,
        started=now,
        step_started=now,
        since=now,
        weight_since=now,
        version=1,
    )
    return replace(fresh, **entered(fresh, rollout, 0, now, 0))


def begin_over(
    previous: RolloutState | None, route: Route, now: float
) -> tuple[RolloutState, list[Event]]:
    """The new rollout in place of the previous one, if any, with the records of both changes."""
    state = begin(route, now)
    events = []
    if previous is not None:
        state = replace(state, version=previous.version + 1)
        if previous.status not in TERMINAL:
            events.append(_superseded(previous, state, now))
    reason = f"{state.candidate} against {state.baseline}"
    events.append(
        Event(
            at=now,
            route=state.route,
            rollout=state.id,
            actor=CONTROLLER,
            action="begin",
            from_status="",
            to_status=state.status,
            step=state.step,
            weight=state.weight,
            reason=reason,
        )
    )
    return replace(state, reason=reason), events


def _superseded(previous: RolloutState, by: RolloutState, now: float) -> Event:
    return Event(
        at=now,
        route=previous.route,
        rollout=previous.id,
        actor=CONTROLLER,
        action="supersede",
        from_status=previous.status,
        to_status="",
        step=previous.step,
        weight=0.0,
        reason=f"the route was changed and asks for rollout {by.id}",
    )
