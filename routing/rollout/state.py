"""The state of a rollout: plain values that the store keeps and every replica reads.

The statuses form a table (`TRANSITIONS`); an illegal transition raises.
"""

from dataclasses import dataclass
from typing import Literal

Status = Literal["progressing", "waiting", "paused", "held", "completed", "rolled_back", "aborted"]
# - progressing: a step is being worked on by itself;
# - waiting: at a `pause` step, for a person or for its time;
# - paused: a person has stopped it where it was;
# - held: a step was inconclusive, and waits for evidence or a person; or a metric failed with
#   `onFail: hold` (`harm`), and a person decides;
# - completed, rolled_back, aborted: the end; all or nothing for the candidate.
TERMINAL: frozenset[Status] = frozenset({"completed", "rolled_back", "aborted"})

TRANSITIONS: dict[Status, tuple[Status, ...]] = {
    "progressing": (
        "progressing",
        "waiting",
        "paused",
        "held",
        "completed",
        "rolled_back",
        "aborted",
    ),
    "waiting": ("progressing", "paused", "held", "completed", "rolled_back", "aborted"),
    "paused": ("progressing", "waiting", "held", "completed", "rolled_back", "aborted"),
    "held": ("progressing", "paused", "held", "completed", "rolled_back", "aborted"),
    "completed": (),
    "rolled_back": (),
    "aborted": (),
}


@dataclass(frozen=True, slots=True)
class RolloutState:
    """One rollout of one route. Times are Unix seconds, as they outlive processes.

    `id` is a digest of the route's name, the candidate's and baseline's targets, steps and
    analysis: editing those begins another rollout. `candidate` and `baseline` are names of arms.
    `weight` is the candidate's in percent. `mirror_percent` is more than 0 from a mirror step on
    until disagreement is decided. `since` is when mirrored pairs begin to count, `weight_since`
    when the candidate got its present weight, from which the arms are compared: what was seen at
    another weight had another mixture of hours in each arm, and would compare those.
    `step_compared` is how many pairs had been compared when the step began. `version` grows with
    each change; a change is written only over the version that it was made from.
    """

    id: str
    route: str
    candidate: str
    baseline: str
    step: int
    status: Status
    weight: float
    mirror_percent: float
    started: float
    step_started: float
    since: float
    weight_since: float
    reason: str = ""
    version: int = 0
    before_pause: Status = "progressing"
    step_compared: int = 0
    harm: bool = False  # held because a metric failed
