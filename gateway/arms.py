"""What workers count for each arm: the evidence by which rollouts are judged.

Only what says something about the arm counts: answers, and failures that are the server's fault. A
deadline that the client itself chose is nobody's fault: one client in a hurry would end rollouts.
Neither is what a policy refuses for reasons of its own, such as a classifier that is down; but who
is refused since the arm's model is full counts, as a slow candidate fills up first.
Latency is that of the arm, from asking it to its first part, so that clients which send or read
slowly change nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.store.engine import Store
from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.timeline import Timeline
from routing.evidence.counts import ArmCounts
from routing.evidence.histogram import Histogram

Key = tuple[str, str, str]  # route, rollout, arm

# Policies whose refusals and failures say nothing of the arm.
BESIDE_THE_ARM = frozenset(("audit", "limits", "privacy", "output"))


class ArmBook:
    """Counts by route, rollout and arm since the last report; bounded by what routes name."""

    def __init__(self) -> None:
        self._counts: dict[Key, ArmCounts] = {}

    def observe(self, timeline: Timeline, error: Exception | None) -> None:
        """Counts a request that was sent to an arm."""
        # Who names a version chooses the arm: testers are no sample of its users.
        if timeline.pinned or (error is not None and not _servers_fault(error, timeline)):
            return
        key = (timeline.route, timeline.rollout, timeline.arm)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = ArmCounts()
        counts.add(timeline.answered - timeline.began, failed=error is not None)

    def take(self) -> list[pb.ArmReport]:
        """Everything since the last call."""
        taken, self._counts = self._counts, {}
        return [
            pb.ArmReport(
                route=route,
                rollout=rollout,
                arm=arm,
                requests=counts.requests,
                errors=counts.errors,
                latency=counts.latency.counts,
            )
            for (route, rollout, arm), counts in taken.items()
        ]


class Told(NamedTuple):
    """What one worker of a replica told at a time."""

    replica: str
    at: float  # Unix time in seconds
    arms: Sequence[pb.ArmReport]


def write(store: Store, told: Sequence[Told]) -> None:
    """Adds the counts to the store; those that are in it already are not added twice."""
    for replica, at, arms in told:
        rollouts: dict[tuple[str, str], dict[str, ArmCounts]] = {}
        for each in arms:
            rollouts.setdefault((each.route, each.rollout), {})[each.arm] = counts_of(each)
        for (route, rollout), counts in rollouts.items():
            store.arms.add(replica, at, route, rollout, counts)


def counts_of(report: pb.ArmReport) -> ArmCounts:
    """The wire form as a value."""
    return ArmCounts(report.requests, report.errors, Histogram(report.latency))


def _servers_fault(error: Exception, timeline: Timeline) -> bool:
    if timeline.refused in BESIDE_THE_ARM:
        return False
    if not isinstance(error, PenstockError):
        return True
    if error.kind is Kind.DEADLINE and timeline.hurried:
        return False
    return error.row.fault == "server"
