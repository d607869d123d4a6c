"""Whether a step has what it waits for. Evidence that is missing never counts as a yes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from protos.route.rollout import AnalysisStep, MirrorStep, PauseStep, Rollout
from routing.evidence.counts import PairCounts
from routing.evidence.judge import MIN_COVERAGE, Finding, overall
from routing.rollout.evidence import Evidence
from routing.rollout.state import RolloutState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step comes to now; `reason` is a sentence with the figures.

    - busy: it needs more time or more evidence, and may get it;
    - wait: it waits for a person;
    - done: on to the next;
    - inconclusive: its time is over, and the evidence says neither yes nor no. `data` is whether
      there is any evidence at all.
    """

    verdict: Literal["busy", "wait", "done", "inconclusive"]
    reason: str
    data: bool = True


def outcome(
    state: RolloutState,
    rollout: Rollout,
    evidence: Evidence,
    found: Sequence[Finding],
    now: float,
) -> Outcome:
    """What the state's step has come to by `now`, in Unix seconds, while no metric fails."""
    step = rollout.steps[state.step]
    elapsed = max(0.0, now - state.step_started)
    if step.mirror is not None:
        more = evidence.pairs.compared - state.step_compared
        return _mirror(step.mirror, elapsed, more, evidence.pairs, found)
    if step.analysis is not None:
        return _analysis(step.analysis, elapsed, evidence, found)
    if step.pause is not None:
        return _pause(step.pause, elapsed)
    return Outcome("done", f"the candidate has {state.weight:g} % of the requests")


def _mirror(
    step: MirrorStep, elapsed: float, more: int, pairs: PairCounts, found: Sequence[Finding]
) -> Outcome:
    """`more` were compared since the step began; `pairs` are those of the whole rollout."""
    counted = f"{more} of {step.until.samples} pairs were compared"
    data = more > 0
    if more >= step.until.samples:
        if _judged(found) and pairs.coverage < MIN_COVERAGE:
            covered = f"only {pairs.coverage:.1%} of the mirrored requests could be compared"
            return Outcome("inconclusive", f"{counted}, but {covered}", data)
        return Outcome("done", counted)
    at_most = step.until.at_most
    if at_most is not None and elapsed >= at_most:
        return Outcome("inconclusive", f"{counted} in {at_most:g} s", data)
    return Outcome("busy", counted)


def _analysis(
    step: AnalysisStep, elapsed: float, evidence: Evidence, found: Sequence[Finding]
) -> Outcome:
    if elapsed < step.at_least:
        return Outcome("busy", f"{elapsed:.0f} of {step.at_least:g} s, and no harm seen")
    verdict = overall(found)
    said = "; ".join(f.reason for f in found if verdict == "pass" or f.verdict != "pass")
    if verdict == "pass":
        return Outcome("done", said)
    return Outcome("inconclusive", said, all(_has_data(f, evidence) for f in found))


def _pause(step: PauseStep, elapsed: float) -> Outcome:
    if step.at_least is None:
        return Outcome("wait", "waits to be resumed")
    if elapsed < step.at_least:
        return Outcome("wait", f"waits to be resumed, or for {step.at_least:g} s")
    return Outcome("done", f"{step.at_least:g} s have passed")


def disagreement_passes(found: Sequence[Finding]) -> bool:
    return any(f.verdict == "pass" for f in found if f.metric == "disagreement")


def _judged(found: Sequence[Finding]) -> bool:
    return any(f.metric == "disagreement" for f in found)


def _has_data(finding: Finding, evidence: Evidence) -> bool:
    if finding.metric == "disagreement":
        return evidence.pairs.compared > 0
    return evidence.candidate.requests > 0 and evidence.baseline.requests > 0
