"""Leases beside a plain model of them: whatever beats come, are lost or lie, in any order."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from protos import discovery_pb2 as pb
from routing.registry import (
    PRESERVED_AT_LEAST,
    PRESERVED_AT_MOST,
    SELF_PRESERVATION_SHARE,
    SETTLING_BEATS,
    Registry,
)
from tests.many_times import LIMIT, bounded
from tests.routing.test_registry import beat

LEASE, INTERVAL = 5.0, 1.0
STARTED = 100.0
SETTLED_AT = STARTED + SETTLING_BEATS * INTERVAL
SUSPECT_AFTER = 2.5 * INTERVAL
INSTANCES = [f"instance-{number}" for number in range(9)]
instances = st.sampled_from(INSTANCES)
epochs = st.integers(1, 3)


@dataclass(frozen=True)
class Lease:
    epoch: int
    key: str
    table: int  # revision of the models that were told last
    told: str  # what that table has
    draining: bool
    since: float  # when it was heard first; -inf for who may have been there before
    last: float
    connected: bool = True

    @property
    def heard(self) -> float:
        return self.last - self.since


class Leases(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = STARTED
        self.registry = Registry(LEASE, INTERVAL, started=self.now)
        self.model: dict[str, Lease] = {}
        self.preserved_at = self.now
        self.revision = 0
        self.evicted = 0

    @initialize(there=st.sets(instances))
    def some_are_there(self, there) -> None:
        for instance in sorted(there):
            self.beat(instance, 1, "mine", 1, True, False)

    @rule(
        instance=instances,
        epoch=epochs,
        key=st.sampled_from(["mine", "mine", "mine", "another"]),
        revision=st.integers(1, 2),
        models=st.booleans(),
        draining=st.booleans(),
    )
    def beat(self, instance, epoch, key, revision, models, draining) -> None:
        message = beat(
            instance, epoch, models=models, revision=revision, key=key, draining=draining
        )
        told = f"{instance} {epoch} {key} {revision}"
        if models:
            message.models.models[0].name = told
        known = self.model.get(instance)
        stale = known is not None and epoch < known.epoch
        stolen = known is not None and epoch == known.epoch and key != known.key
        unknown = not models and (known is None or (epoch, revision) != (known.epoch, known.table))

        why = self.registry.beat(message, self.now)

        assert (why is not None) == (stale or stolen or unknown)
        if why is None:
            kept = told if models else known.told
            since = self.now if self.now > SETTLED_AT else -math.inf
            if known is not None and known.epoch == epoch:
                since = known.since
            self.model[instance] = Lease(epoch, key, revision, kept, draining, since, self.now)
        elif stale:
            assert "stale" in why

    @rule()
    def everybody_beats(self) -> None:
        """As nearly always: or the mesh would be silent in all examples."""
        self._beats_of(self.model)

    @rule(silent=st.sets(instances, max_size=3))
    def all_but_some_beat(self, silent) -> None:
        self._beats_of(self.model.keys() - silent)

    @rule(instance=instances, epoch=epochs)
    def disconnected(self, instance, epoch) -> None:
        self.registry.disconnected(instance, epoch)
        if self._is(instance, epoch):
            self.model[instance] = replace(self.model[instance], connected=False)

    @rule(instance=instances, epoch=epochs)
    def leave(self, instance, epoch) -> None:
        self.registry.leave(instance, epoch)
        if self._is(instance, epoch):
            del self.model[instance]

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.6, 5.1, 60.0, PRESERVED_AT_MOST + 1.0]))
    def time_passes(self, seconds) -> None:
        self.now += seconds

    @rule()
    def expire(self) -> None:
        silence = {instance: self.now - lease.last for instance, lease in self.model.items()}
        suspects = [lease for lease in self.model.values() if self._suspect(lease)]
        missing = sum(self._counts(lease) for lease in suspects)
        there = len(self.model) - len(suspects)

        gone = set(self.registry.expire(self.now))

        preserved = self.registry.self_preservation
        many = missing > max(1, SELF_PRESERVATION_SHARE * (there + missing))
        if many or (suspects and not there):
            assert preserved
        if preserved:
            self.preserved_at = self.now
        spared = self.now - self.preserved_at
        assert gone == {
            instance
            for instance, seconds in silence.items()
            if min(seconds, spared) > LEASE or seconds > self._patience(instance)
        }
        for instance in gone:
            del self.model[instance]
        self.evicted += len(gone)

    @invariant()
    def the_snapshot_is_what_was_told(self) -> None:
        snapshot = self.registry.snapshot(self.now)
        found = {lease.beat.instance: lease for lease in snapshot.leases}
        assert found.keys() == self.model.keys()
        for instance, lease in found.items():
            expected = self.model[instance]
            assert (lease.beat.epoch, lease.beat.access_key) == (expected.epoch, expected.key)
            assert [model.name for model in lease.beat.models.models] == [expected.told]
            assert lease.state == (pb.SUSPECT if self._suspect(expected) else pb.HELD)
            assert self.registry.is_draining(instance, expected.epoch) == expected.draining
            assert not self.registry.is_draining(instance, expected.epoch + 1)
        assert snapshot.settled == (self.now >= SETTLED_AT)
        assert self.registry.evictions == self.evicted
        assert len(self.registry) == len(self.model)

    @invariant()
    def workers_are_told_of_changes_in_their_order(self) -> None:
        assert self.registry.revision >= self.revision
        self.revision = self.registry.revision

    def teardown(self) -> None:
        """Whatever happened before: among many who beat, one that doesn't is soon gone."""
        for instance in INSTANCES:
            self.beat(instance, 3, "mine", 1, True, False)
        for _ in range(20):
            self.now += INTERVAL
            self.everybody_beats()
            self.expire()
        assert not self.registry.self_preservation
        for _ in range(int(LEASE) + 1):
            self.now += INTERVAL
            self._beats_of(INSTANCES[1:])
            self.expire()
        assert self.model.keys() == set(INSTANCES[1:])

    def _beats_of(self, instances: Iterable[str]) -> None:
        """Each is heard of as it was."""
        for instance in instances:
            lease = self.model[instance]
            message = beat(
                instance,
                lease.epoch,
                models=False,
                revision=lease.table,
                key=lease.key,
                draining=lease.draining,
            )
            assert self.registry.beat(message, self.now) is None
            self.model[instance] = replace(lease, last=self.now, connected=True)

    def _is(self, instance: str, epoch: int) -> bool:
        return instance in self.model and self.model[instance].epoch == epoch

    def _counts(self, lease: Lease) -> bool:
        """Who just came and went is no sign of anything."""
        least = PRESERVED_AT_LEAST if lease.connected else 0.0
        return self.now - lease.last <= max(least, lease.heard)

    def _patience(self, instance: str) -> float:
        return min(max(PRESERVED_AT_LEAST, self.model[instance].heard), PRESERVED_AT_MOST)

    def _suspect(self, lease: Lease) -> bool:
        return not lease.connected or self.now - lease.last > SUSPECT_AFTER


TestLeases = Leases.TestCase
TestLeases.settings = bounded(60, 40)
TestLeases.pytestmark = [pytest.mark.timeout(LIMIT)]
