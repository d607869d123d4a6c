"""Records that tests of the store write."""

from dataclasses import replace

from routing.evidence.counts import ArmCounts
from routing.rollout.event import Event
from routing.rollout.state import RolloutState
from routing.shadow.record import Outcome, PairRecord, Side

PAIR = PairRecord(
    at=1000.25,
    route="fraud",
    mirror="candidate",
    arm="stable",
    model="fraud",
    version="5",
    primary_version="3",
    tenant="acme",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    request_id="r1",
    kind="tensor",
    status="compared",
    primary=Side(0.01, 0.01, 0.001, 0.008, 120, 1),
    candidate=Side(0.02, 0.02, 0.002, 0.016, 120, 1),
    outcome=Outcome(True, 0.5, {"max_error": 0.5}, "", "yes"),
    noise=Outcome(True),
    shape="x FP32[1,64]",
    rollout="abc",
)


def pair(
    at: float, *, differs: bool | None = False, noise: bool | None = None, **changes: object
) -> PairRecord:
    """`differs` and `noise`: whether the candidate and the second primary differ."""
    outcome = Outcome(None if differs is None else not differs)
    second = None if noise is None else Outcome(not noise)
    changed = {"at": at, "request_id": f"r{at}", "outcome": outcome, "noise": second, **changes}
    return replace(PAIR, **changed)  # type: ignore[arg-type]


STATE = RolloutState(
    id="abc",
    route="fraud",
    candidate="canary",
    baseline="stable",
    step=0,
    status="progressing",
    weight=5.0,
    mirror_percent=20.0,
    started=1000.5,
    step_started=1000.5,
    since=1000.5,
    weight_since=1001.5,
    reason="begins",
    version=1,
)

EVENT = Event(
    at=1000.5,
    route="fraud",
    rollout="abc",
    actor="controller",
    action="begin",
    from_status="progressing",
    to_status="progressing",
    step=0,
    weight=5.0,
    reason="begins",
)


def counted(*latencies: float, errors: int = 0) -> ArmCounts:
    counts = ArmCounts()
    for seconds in latencies:
        counts.add(seconds, failed=False)
    for _ in range(errors):
        counts.add(0.0, failed=True)
    return counts
