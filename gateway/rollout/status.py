"""A rollout as JSON, for the admin face and whoever draws it."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from protos.route.document import Route
from protos.route.rollout import Step
from routing.evidence.counts import ArmCounts
from routing.evidence.judge import Finding, overall
from routing.rollout.event import Event
from routing.rollout.evidence import Evidence, findings
from routing.rollout.identity import parts
from routing.rollout.outcome import outcome
from routing.rollout.state import RolloutState

_UNITS = (("d", 86400.0), ("h", 3600.0), ("m", 60.0))


def described(
    state: RolloutState,
    route: Route | None,
    evidence: Evidence | None,
    history: Sequence[Event],
    now: float,
) -> dict[str, Any]:
    """The state, its steps in words, what was seen and what that says, and the audit records.

    `route` is None when no document asks for this rollout, `evidence` when it is over; then there
    are no steps or findings. `reason` is that of the last change, `now` where the step stands.
    Shares are of 1, latencies are ratios, times Unix seconds, weights in percent; a bound or an
    interval's end that is not finite is null.
    """
    said: dict[str, Any] = {
        "route": state.route,
        "rollout": state.id,
        "in_force": route is not None,
        "candidate": state.candidate,
        "baseline": state.baseline,
        "status": state.status,
        "harm": state.harm,
        "step": state.step,
        "steps": [],
        "weight": state.weight,
        "mirror_percent": state.mirror_percent,
        "reason": state.reason,
        "now": "",
        "started": state.started,
        "step_started": state.step_started,
        "weight_since": state.weight_since,
        "version": state.version,
        "evidence": None,
        "findings": [],
        "history": [asdict(event) for event in history],
    }
    if evidence is not None:
        said["evidence"] = {
            "candidate": _arm(evidence.candidate),
            "baseline": _arm(evidence.baseline),
            "pairs": {"sampled": evidence.pairs.sampled, "compared": evidence.pairs.compared},
        }
    if route is not None:
        rollout, _, _ = parts(route)
        said["steps"] = [_step(step) for step in rollout.steps]
        if evidence is not None:
            found = findings(rollout, evidence)
            said["findings"] = [_finding(each) for each in found]
            if overall(found) != "fail":
                said["now"] = outcome(state, rollout, evidence, found, now).reason
    return said


def _arm(counts: ArmCounts) -> dict[str, int]:
    return {"requests": counts.requests, "errors": counts.errors}


def _finding(finding: Finding) -> dict[str, Any]:
    interval = finding.interval
    return {
        "metric": finding.metric,
        "verdict": finding.verdict,
        "estimate": _finite(interval.estimate),
        "low": _finite(interval.low),
        "high": _finite(interval.high),
        "level": interval.level,
        "bound": finding.bound,
        "reason": finding.reason,
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _step(step: Step) -> str:
    if step.mirror is not None:
        return f"mirror {step.mirror.percent:g} % for {step.mirror.until.samples} pairs"
    if step.analysis is not None:
        return f"analysis {_duration(step.analysis.at_least)}"
    if step.pause is not None:
        at_least = step.pause.at_least
        return "pause" if at_least is None else f"pause {_duration(at_least)}"
    return f"weight {step.set_weight:g} %"


def _duration(seconds: float) -> str:
    for unit, scale in _UNITS:
        if seconds and seconds % scale == 0:
            return f"{seconds / scale:g}{unit}"
    return f"{seconds:g}s"
