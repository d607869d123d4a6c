"""Replicas, people and crashes between any two steps of a look, on a real store.

A replica's look is taken apart: it takes the lead, reads, decides, and writes; between those others
do whatever they do, for as long as they like. The store must take exactly what a plain model of it
takes, and its records must lead from each state to the next.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.rollout.controller import LEAD, LEAD_SECONDS
from gateway.store.engine import open_store
from gateway.store.leader import Fence
from protos.errors import PenstockError
from protos.route.document import Route
from routing.rollout.advance import advance
from routing.rollout.begin import begin_over
from routing.rollout.command import abort, pause, resume
from routing.rollout.event import Event
from routing.rollout.evidence import Evidence
from routing.rollout.identity import parts, rollout_id
from routing.rollout.state import TERMINAL, TRANSITIONS, RolloutState
from tests.many_times import LIMIT, bounded
from tests.routing.rollout.made_routes import ANALYSIS, CANARY, GOOD, HARM, NOTHING, PAUSE, route

ROUTE = "fraud"
REPLICAS = ("one", "two", "three")
# What ops write one after the other: each asks for a rollout of its own.
DOCUMENTS = tuple(route(CANARY, ANALYSIS, PAUSE, version=version) for version in ("4", "5"))


@dataclass
class Look:
    """How far a replica is in its look."""

    fence: Fence
    read: RolloutState | None = None
    has_read: bool = False
    decided: tuple[RolloutState, list[Event]] | None = None


@dataclass
class Lease:
    holder: str
    epoch: int
    until: float


class Replicas(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.store = open_store(f"sqlite:///{Path(self.folder.name)}/records.db")
        self.now = 1_700_000_000.0
        self.document: Route = DOCUMENTS[0]
        self.looks: dict[str, Look] = {}
        self.state: RolloutState | None = None
        self.lease: Lease | None = None
        self.events: list[Event] = []

    @initialize(document=st.sampled_from(DOCUMENTS))
    def begin(self, document) -> None:
        self.document = document

    @rule(
        who=st.sampled_from(REPLICAS),
        evidence=st.sampled_from([None, NOTHING, GOOD, GOOD, HARM]),
    )
    def take_the_lead(self, who, evidence) -> None:
        """With evidence it goes on at once, until it would write."""
        lease, epoch = self.lease, 0
        if lease is None:
            epoch = 1
        elif lease.holder == who or lease.until <= self.now:
            epoch = lease.epoch + (lease.holder != who)

        fence = self.store.leader.hold(LEAD, who, self.now, LEAD_SECONDS)

        assert fence == (Fence(LEAD, who, epoch) if epoch else None)
        if fence is None:
            self.looks.pop(who, None)
        else:
            self.lease = Lease(who, epoch, self.now + LEAD_SECONDS)
            look = self.looks[who] = Look(fence)
            if evidence is not None:
                self._read(look)
                self._decide(look, evidence)

    @precondition(lambda self: self.looks)
    @rule(data=st.data())
    def read(self, data) -> None:
        self._read(self._one(data))

    @precondition(lambda self: any(look.has_read for look in self.looks.values()))
    @rule(data=st.data(), evidence=st.sampled_from([NOTHING, GOOD, GOOD, HARM]))
    def decide(self, data, evidence) -> None:
        look = self._one(data)
        if look.has_read:
            self._decide(look, evidence)

    def _read(self, look: Look) -> None:
        look.read, look.has_read = self.store.rollouts.get(ROUTE), True

    def _decide(self, look: Look, evidence: Evidence) -> None:
        asked, _, _ = parts(self.document)
        if look.read is None or look.read.id != rollout_id(self.document):
            look.decided = begin_over(look.read, self.document, self.now)
        elif look.read.status not in TERMINAL:
            look.decided = advance(look.read, asked, evidence, self.now)

    @precondition(lambda self: any(look.decided for look in self.looks.values()))
    @rule(data=st.data(), slow=st.booleans())
    def write(self, data, slow) -> None:
        look = self._one(data)
        if look.decided is None:
            return
        state, events = look.decided
        if events:
            self._written(state, look.read, look.fence, events)
        # A slow one tries again what was taken, or refused, already.
        if not slow:
            look.decided, look.has_read = None, False

    @precondition(lambda self: any(look.decided for look in self.looks.values()))
    @rule(data=st.data(), other=st.sampled_from(REPLICAS))
    def one_that_decided_sleeps_until_another_leads(self, data, other) -> None:
        self.now += LEAD_SECONDS
        kept = dict(self.looks)
        self.take_the_lead(other, None)
        self.looks = kept
        self.write(data, slow=False)

    @rule(command=st.sampled_from([pause, abort, resume]), stale=st.booleans())
    def a_person_acts(self, command, stale) -> None:
        before = self.store.rollouts.get(ROUTE)
        if before is None:
            return
        asked, _, _ = parts(self.document)
        try:
            if command is resume:
                after, event = resume(before, asked, 600, self.now, "ada@risk")
            else:
                after, event = command(before, self.now, "ada@risk")
        except PenstockError:
            return
        self._written(after, before, None, [event])
        if stale:  # two people, or one who clicks twice
            self._written(after, before, None, [event])

    @rule(document=st.sampled_from(DOCUMENTS))
    def ops_write_another_document(self, document) -> None:
        self.document = document

    @rule(who=st.sampled_from(REPLICAS))
    def a_replica_crashes(self, who) -> None:
        self.looks.pop(who, None)

    @rule(seconds=st.sampled_from([0.1, 1.0, LEAD_SECONDS, 900.0]))
    def time_passes(self, seconds) -> None:
        self.now += seconds

    @invariant()
    def the_store_has_what_was_taken_last(self) -> None:
        assert self.store.rollouts.get(ROUTE) == self.state

    @invariant()
    def each_change_has_its_record_and_none_has_two(self) -> None:
        assert self.store.audit.read(route=ROUTE, limit=1000) == self.events

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def _one(self, data) -> Look:
        return self.looks[data.draw(st.sampled_from(sorted(self.looks)))]

    def _written(
        self,
        state: RolloutState,
        before: RolloutState | None,
        fence: Fence | None,
        events: list[Event],
    ) -> None:
        """Writes it, and holds the answer against what may be written."""
        leads = fence is None or (
            self.lease is not None
            and (fence.holder, fence.epoch) == (self.lease.holder, self.lease.epoch)
        )
        there = None if self.state is None else self.state.version
        expected = None if before is None else before.version

        taken = self.store.rollouts.write(
            state, expected_version=expected, fence=fence, events=events
        )

        assert taken == (leads and there == expected)
        if not taken:
            return
        if self.state is not None and state.id == self.state.id:
            assert self.state.status not in TERMINAL, "what is over stays so"
            assert state.version > self.state.version
            assert events[-1].to_status in TRANSITIONS[events[-1].from_status]
        self.state = state
        self.events += events


TestReplicas = Replicas.TestCase
TestReplicas.settings = bounded(20, 30)
TestReplicas.pytestmark = [pytest.mark.timeout(LIMIT)]
