"""The routes of simulated meshes: arms, and rollouts that take seconds instead of hours."""

import json
from functools import cache
from typing import Any

from routing.rules.loaded import Loaded
from tests.routing.rules import written_routes

NAME = "m"
STABLE: dict[str, Any] = {"name": "stable", "model": NAME, "version": "1", "weight": 60}
CANARY: dict[str, Any] = {"name": "canary", "model": NAME, "version": "2", "weight": 40}

ERRORS = {"name": "error_rate", "maxDelta": "5pp"}
_MANY_ERRORS = {"name": "error_rate", "maxDelta": "25pp"}  # a few dozen requests decide that
_SLOWER = {"name": "latency_p50", "maxRatio": 2.0}
_DISAGREEMENT = {"name": "disagreement", "maxAboveNoise": "20pp"}
_LOOK = {"analysis": {"for": "2s"}}
_MIRROR = {"mirror": {"percent": 50, "until": {"samples": 10, "for": "4s"}}}


def _rollout(*steps: dict[str, Any], metrics=(ERRORS,), **analysis: Any) -> dict[str, Any]:
    given = {"baseline": "stable", "minSamples": 8, "confidence": 0.8}
    given |= {"metrics": list(metrics), **analysis}
    return {"steps": list(steps), "analysis": given}


PLANS: dict[str, dict[str, Any] | None] = {
    "divided": None,  # by the weights that are written
    "quick": _rollout({"setWeight": 50}, _LOOK, {"setWeight": 80}, _LOOK, metrics=(_MANY_ERRORS,)),
    "half": _rollout({"setWeight": 50}, {"analysis": {"for": "20s"}}),
    "cautious": _rollout(
        _MIRROR,
        {"setWeight": 20},
        _LOOK,
        {"pause": {}},
        {"setWeight": 50},
        _LOOK,
        metrics=(ERRORS, _DISAGREEMENT),
        onFail="hold",
    ),
    "hurried": _rollout(
        {"setWeight": 30},
        _LOOK,
        {"pause": {"for": "2s"}},
        {"setWeight": 10},
        _LOOK,
        {"setWeight": 60},
        _LOOK,
        onInconclusive="proceed",
    ),
    "timed": _rollout({"setWeight": 40}, _LOOK, {"setWeight": 90}, _LOOK, metrics=(_SLOWER,)),
    "strict": _rollout(
        _MIRROR, {"setWeight": 50}, {"analysis": {"for": "6s"}}, onInconclusive="rollback"
    ),
}


_STICKY = {"sticky": {"key": "jwt.sub", "salt": "s"}}
_HEDGED = {"retries": {"hedgeAfter": "p95"}}
_NARROW = {"circuit": {"maxInFlight": 8}}
_FALLBACK = {"fallback": "stable"}
# What else routes say: of the whole route, and of the canary.
STYLES: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    (_STICKY | _HEDGED, {}),
    (_STICKY | _HEDGED | _NARROW, _FALLBACK),
    (_HEDGED, {}),
    (_STICKY | {"retries": {"max": 0}}, {}),
    (_STICKY | {"retries": {"max": 2}} | _NARROW, {}),
    ({"retries": {"max": 1}}, _FALLBACK),
    (_STICKY | _HEDGED, _FALLBACK),
)


@cache
def document(plan: str | None, style: int = 0, *, edited: bool = False) -> Loaded:
    """Without a plan there is no canary. `edited` asks for another rollout by the same steps."""
    of_route, of_canary = STYLES[style]
    spec: dict[str, Any] = {"match": [{"model": NAME}], "backends": [STABLE], **of_route}
    if plan is not None:
        spec["backends"] = [STABLE, {**CANARY, **of_canary}]
        rollout = PLANS[plan]
        if rollout is not None:
            analysis = rollout["analysis"] | ({"minSamples": 9} if edited else {})
            spec["rollout"] = {**rollout, "analysis": analysis}
    # Through JSON, as a part that is there twice would become an anchor.
    return written_routes.route(NAME, **json.loads(json.dumps(spec)))
