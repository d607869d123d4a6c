"""What a rollout is judged by, and how often it may be looked at."""

from dataclasses import dataclass, field

from protos.route.rollout import Rollout
from routing.evidence.counts import ArmCounts, PairCounts
from routing.evidence.judge import Finding, judge_all


@dataclass(frozen=True, slots=True)
class Evidence:
    """The arms' requests since `weight_since` of the state, its mirrored pairs since `since`."""

    candidate: ArmCounts = field(default_factory=ArmCounts)
    baseline: ArmCounts = field(default_factory=ArmCounts)
    pairs: PairCounts = field(default_factory=PairCounts)


def findings(rollout: Rollout, evidence: Evidence) -> tuple[Finding, ...]:
    """What each metric says now; looking as often as one likes changes no probability.

    The arms are compared anew at each weight, and the analysis' confidence is that of the whole
    rollout: the probability of a false alarm is divided among the weights (Bonferroni).
    """
    analysis = rollout.analysis
    alarm = (1.0 - analysis.confidence) / _weights(rollout)
    shared = analysis.model_copy(update={"confidence": 1.0 - alarm})
    return judge_all(shared, evidence.candidate, evidence.baseline, evidence.pairs)


def _weights(rollout: Rollout) -> int:
    """How many weights the candidate has on its way, but none and all."""
    weights = [step.set_weight for step in rollout.steps if step.set_weight is not None]
    changes = zip([0.0, *weights], weights, strict=False)
    return max(1, sum(after != before and after > 0 for before, after in changes))
