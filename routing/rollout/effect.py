"""What a rollout makes of its route, for the table that requests are matched by."""

from protos.route.document import Route
from protos.route.match import Backend
from protos.route.mirror import Compare, Mirror
from protos.route.rollout import Rollout
from routing.rollout.identity import parts
from routing.rollout.state import RolloutState
from routing.rollout.steps import judges_disagreement
from routing.rules.effect import Effect


def effect(state: RolloutState, route: Route) -> Effect:
    """The candidate's weight, and its mirror while there is one.

    Raises INVALID for a route without a rollout.
    """
    rollout, candidate, baseline = parts(route)
    mirror = None
    if state.mirror_percent:
        mirror = _mirror(state, route, rollout, candidate, baseline)
    return Effect(route.metadata.name, state.id, candidate.name, state.weight, mirror)


def mirror_name(route: Route) -> str:
    """The name under which the candidate's pairs are recorded.

    That of the document's mirror to the same model version, else the candidate's own, unless the
    document calls another mirror so.
    """
    _, candidate, _ = parts(route)
    written = _written(route, candidate)
    if written is not None:
        return written.backend
    taken = {mirror.backend for mirror in route.spec.mirror}
    return f"{candidate.name[:55]}-rollout" if candidate.name in taken else candidate.name


def _mirror(
    state: RolloutState, route: Route, rollout: Rollout, candidate: Backend, baseline: Backend
) -> Mirror:
    written = _written(route, candidate)
    if written is not None:
        percent = max(written.percent, state.mirror_percent)
        return written.model_copy(update={"percent": percent})
    steps = rollout.steps[: state.step + 1]
    asked = next(step.mirror for step in reversed(steps) if step.mirror is not None)
    return Mirror(
        backend=mirror_name(route),
        model=candidate.model,
        version=candidate.version,
        percent=state.mirror_percent,
        compare=asked.compare or _compare(rollout, baseline),
    )


def _compare(rollout: Rollout, baseline: Backend) -> Compare:
    """Where a step doesn't say how: with the baseline's own noise, if a bound is above noise."""
    if judges_disagreement(rollout):
        return Compare.model_validate({"noiseFloor": baseline.name})
    return Compare()


def _written(route: Route, candidate: Backend) -> Mirror | None:
    target = (candidate.model, candidate.version)
    return next((m for m in route.spec.mirror if (m.model, m.version) == target), None)
