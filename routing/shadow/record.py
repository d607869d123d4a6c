"""What is remembered of a mirrored request: never its content, unless the route asked for that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# - compared: both answers are there and the comparison made sense of them;
# - candidate_failed: the primary answered, the candidate failed (`candidate.error` says how);
# - primary_failed: nothing to compare with; not the candidate's fault, and not counted against it;
# - incomparable: both answered, but not in kind (`reason` says why);
# - dropped: the copy was not sent, or not compared, for want of room or time here, or because the
#   candidate was too busy for the lowest priority (`reason` says which).
Status = Literal["compared", "candidate_failed", "primary_failed", "incomparable", "dropped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Two answers compared. `agrees` is None when they couldn't be; then `reason` says why.

    `distance` is 0 for equal answers and grows with what differs, in the comparison's own unit.
    `measures` are the comparison's figures by name; `label` is the primary's label, where it has
    one, for a report by segment.
    """

    agrees: bool | None
    distance: float = 0.0
    measures: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One answer: its time from sending to the last part, and what the backend says of it.

    `first_seconds` is until the first part. `error` is the kind of failure in small letters.
    """

    seconds: float = 0.0
    first_seconds: float = 0.0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0
    bytes: int = 0
    parts: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class PairRecord:
    """One mirrored request: primary and candidate, and on a sample the primary asked again.

    `at` is Unix time in seconds. `mirror` is the mirror's `backend` name, `arm` the primary's arm;
    `model` and `version` are the candidate's exact ones. `shape` describes the inputs for a report
    by segment, such as `x FP32[1,64]`. `noise` is None where no second primary was asked, or where
    its answer failed or couldn't be compared.
    """

    at: float
    route: str
    mirror: str
    arm: str
    model: str
    version: str
    primary_version: str
    tenant: str
    trace_id: str
    request_id: str
    kind: str  # the comparison that was made
    status: Status
    primary: Side
    candidate: Side
    outcome: Outcome = Outcome(None)
    noise: Outcome | None = None
    shape: str = ""
    rollout: str = ""  # the rollout under way whose candidate this is
    payloads: str = ""  # JSON with both answers, redacted; mostly empty
