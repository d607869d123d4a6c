"""Which rollout a route asks for."""

import hashlib
import json

from protos.errors import invalid
from protos.route.document import Route
from protos.route.match import Backend
from protos.route.rollout import Rollout

_DIGITS = 16


def rollout_id(route: Route) -> str:
    """A digest, in hexadecimal, of all that a rollout is about.

    Another candidate, baseline, step or analysis is another rollout; the arms' weights, the owner
    or limits may change while one is under way. Raises INVALID for a route without a rollout.
    """
    rollout, candidate, baseline = parts(route)
    said = [
        route.metadata.name,
        [candidate.name, candidate.model, candidate.version],
        [baseline.name, baseline.model, baseline.version],
        # Without defaults: a field that another release adds must not begin every rollout anew.
        [step.model_dump(mode="json", exclude_defaults=True) for step in rollout.steps],
        rollout.analysis.model_dump(mode="json", exclude_defaults=True),
    ]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def parts(route: Route) -> tuple[Rollout, Backend, Backend]:
    """The rollout, its candidate and its baseline; raises INVALID for a route without a rollout."""
    spec = route.spec
    if spec.rollout is None:
        raise invalid(f"route {route.metadata.name} has no rollout")
    arms = {arm.name: arm for arm in spec.backends}
    return spec.rollout, arms[spec.candidate or ""], arms[spec.rollout.analysis.baseline]
