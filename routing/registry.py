"""Leases of backend instances: who may be sent work, decided from beats and the clock alone.

Eureka's self-preservation is kept (losing many beats at once says more about the network than about
the instances), with epochs as fencing tokens so that a restarted instance replaces its former self
and never the other way round.

Many are missing when more than 15 % of the instances are silent (one alone is never many, unless it
is all there are), or when more than 15 % of the beats of all but the most silent one got lost. Who
has been gone for longer than it was there doesn't count: a crash loop must not look like the
network for ever.
"""

import math
from dataclasses import dataclass

from protos import discovery_pb2 as pb

SELF_PRESERVATION_SHARE = 0.15
# Backends find a gateway that was restarted within two beats; one more for good measure.
SETTLING_BEATS = 3.0
# Of a beat that came or got lost in what is known of an instance's losses: five beats long.
REMEMBERED = 0.8
# Nothing is kept for ever: after this many seconds a silent instance goes, whatever else is silent.
PRESERVED_AT_MOST = 600.0
# And after so many if it hadn't been heard for longer, as in a crash loop.
PRESERVED_AT_LEAST = 30.0


@dataclass(slots=True)
class _Held:
    beat: pb.Beat
    last_beat: float
    connected: bool
    since: float  # when its first beat came; -inf if this process may have been the new one
    lost: float = 0.0  # share of its beats that got lost, exponentially weighted

    @property
    def heard(self) -> float:
        """Seconds from its first beat to the last."""
        return self.last_beat - self.since

    def counts(self, now: float) -> bool:
        """Whether that it is silent, if it is, may tell of more than itself."""
        silent = now - self.last_beat
        # When a process dies its stream breaks at once.
        return silent <= self.heard or (self.connected and silent <= PRESERVED_AT_LEAST)

    def lost_by(self, now: float, interval: float) -> float:
        """That share, if those that should have come since the last beat are lost."""
        missed = max(0, round((now - self.last_beat) / interval) - 1)
        return 1.0 - (1.0 - self.lost) * REMEMBERED**missed

    def lost_with(self, now: float, interval: float) -> float:
        """That share with a beat that comes now; those out of turn count for less."""
        turn = min(1.0, (now - self.last_beat) / interval)
        return self.lost_by(now, interval) * math.pow(REMEMBERED, turn)


class Registry:
    """The instances that hold a lease; `now` is monotonic seconds, as is everything derived."""

    def __init__(
        self, lease: float = 5.0, beat_interval: float = 1.0, started: float = 0.0
    ) -> None:
        self.lease = lease
        self._settled_at = started + SETTLING_BEATS * beat_interval
        self._interval = beat_interval
        self._suspect_after = min(2.5 * beat_interval, lease)
        self._preserved_at = started  # when leases last didn't expire; they begin anew from there
        self._held: dict[str, _Held] = {}
        self.revision = 0
        self.changes = 0  # of who is there, what they serve and whether they can; loads are none
        self.evictions = 0
        self.self_preservation = False

    def beat(self, beat: pb.Beat, now: float) -> str | None:
        """Takes a beat; returns why it is refused, or None when the lease was extended."""
        held = self._held.get(beat.instance)
        told = beat.HasField("models")
        changed = told or held is None or self._tells_more(held, beat, now)
        lost, since = 0.0, now if now > self._settled_at else -math.inf
        if held is not None:
            known = held.beat
            if beat.epoch < known.epoch:
                return f"epoch {beat.epoch} of {beat.instance} is stale: {known.epoch} is known"
            if beat.epoch == known.epoch and beat.access_key != known.access_key:
                return f"instance {beat.instance} is held by another process with the same epoch"
            if not told:
                if beat.epoch != known.epoch or beat.models_revision != known.models_revision:
                    return "this beat refers to a model table that was never sent"
                beat.models.CopyFrom(known.models)
            if beat.epoch == known.epoch:
                lost, since = held.lost_with(now, self._interval), held.since
        elif not told:
            return "the first beat must carry the model table"
        self._held[beat.instance] = _Held(beat, now, True, since, lost)
        self.revision += 1
        self.changes += changed
        return None

    def disconnected(self, instance: str, epoch: int) -> None:
        """The stream of beats broke: the instance is suspect until it beats again."""
        held = self._held.get(instance)
        if held is not None and held.beat.epoch == epoch and held.connected:
            held.connected = False
            self.revision += 1
            self.changes += 1

    def leave(self, instance: str, epoch: int) -> None:
        """The instance said goodbye after draining; its lease ends at once."""
        held = self._held.get(instance)
        if held is not None and held.beat.epoch == epoch:
            del self._held[instance]
            self.revision += 1
            self.changes += 1

    def is_draining(self, instance: str, epoch: int) -> bool:
        held = self._held.get(instance)
        return held is not None and held.beat.epoch == epoch and held.beat.draining

    def epoch_of(self, instance: str) -> int:
        """The epoch that holds the instance's lease; 0 if none does."""
        held = self._held.get(instance)
        return 0 if held is None else held.beat.epoch

    def overdue(self, instance: str, now: float) -> bool:
        """Whether no beat has come for a whole lease, be the instance kept all the same or not."""
        held = self._held.get(instance)
        return held is None or now - held.last_beat > self.lease

    def excuse(self, seconds: float, now: float) -> None:
        """This process stood still for so long: that it heard nothing meanwhile says nothing."""
        for held in self._held.values():
            held.last_beat = min(held.last_beat + seconds, now)

    def expire(self, now: float) -> list[str]:
        """Evicts instances whose lease is over, unless so many are that the fault is elsewhere."""
        preserve = self._many_missing(now)
        if preserve != self.self_preservation:
            self.self_preservation = preserve
            self.revision += 1
        if preserve:
            self._preserved_at = now
        overdue = [i for i, held in self._held.items() if self._is_over(held, now)]
        for instance in overdue:
            del self._held[instance]
        if overdue:
            self.evictions += len(overdue)
            self.revision += 1
        return overdue

    def snapshot(self, now: float) -> pb.Snapshot:
        """The table as it stands, for the processes that route."""
        snapshot = pb.Snapshot(
            revision=self.revision,
            self_preservation=self.self_preservation,
            settled=now >= self._settled_at,
        )
        for held in self._held.values():
            state = pb.SUSPECT if self._is_suspect(held, now) else pb.HELD
            snapshot.leases.add(beat=held.beat, state=state)
        return snapshot

    def _many_missing(self, now: float) -> bool:
        there = [held for held in self._held.values() if not self._is_suspect(held, now)]
        if self._held and not there:
            return True
        counted = [held for held in self._held.values() if held.counts(now)]
        missing = sum(self._is_suspect(held, now) for held in counted)
        if missing > max(1, SELF_PRESERVATION_SHARE * (len(there) + missing)):
            return True
        lost = sorted(held.lost_by(now, self._interval) for held in counted)[:-1]
        return sum(lost) > SELF_PRESERVATION_SHARE * len(lost)

    def _tells_more(self, held: _Held, beat: pb.Beat, now: float) -> bool:
        """Whether a beat without a table tells of more than another load."""
        before = held.beat
        return self._is_suspect(held, now) or (
            (before.address, before.healthy, before.unhealthy_reason, before.draining)
            != (beat.address, beat.healthy, beat.unhealthy_reason, beat.draining)
        )

    def _is_over(self, held: _Held, now: float) -> bool:
        # Who was spared gets a whole lease to come back: when beats come again, one is the last.
        since = max(held.last_beat, self._preserved_at)
        patience = min(max(PRESERVED_AT_LEAST, self.lease, held.heard), PRESERVED_AT_MOST)
        return now - since > self.lease or now - held.last_beat > patience

    def _is_suspect(self, held: _Held, now: float) -> bool:
        return not held.connected or now - held.last_beat > self._suspect_after

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return f"<Registry {sorted(self._held)} revision {self.revision}>"
