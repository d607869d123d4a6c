"""Endpoints that fail, answer, come and go, in any order: who is out of service, and who probes."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from routing.breaker import BURST, INCONCLUSIVE, LONGEST, State, Verdict
from routing.outlier import AT_MOST, CONSECUTIVE, Outliers
from tests.many_times import LIMIT, bounded
from tests.routing.test_outlier import KEY, Endpoint

VERDICTS = st.sampled_from(list(Verdict))


class Ejecting(RuleBasedStateMachine):
    @initialize(number=st.integers(1, 6))
    def begin(self, number) -> None:
        self.now = 1000.0
        self.outliers = Outliers()
        self.peers = [Endpoint() for _ in range(number)]
        self.probes: dict[int, object] = {}
        self.ejected_at: dict[int, float] = {}
        self.in_a_row: dict[int, int] = {id(each): 0 for each in self.peers}

    @rule(data=st.data(), what=VERDICTS, times=st.sampled_from([1, 1, CONSECUTIVE, 60]))
    def calls_end(self, data, what, times) -> None:
        """As `Pick` does it: a failure is judged, and an answer that is no probe's is not."""
        endpoint = data.draw(st.sampled_from(self.peers))
        for _ in range(times):
            self.now += 2 * BURST
            before = sum(self._is_out(each) for each in self.peers)
            was_out = self._is_out(endpoint)
            endpoint.breaker.record(what, self.now)
            if what is Verdict.GOOD:
                self.in_a_row[id(endpoint)] = 0
            elif what is Verdict.BAD:
                self.in_a_row[id(endpoint)] += 1
            if what not in (Verdict.BAD, Verdict.MODEL):
                continue

            ejected = self.outliers.judge(endpoint, KEY, self.peers, self.now)

            assert ejected == (self._is_out(endpoint) and not was_out)
            if ejected:
                assert before + 1 <= AT_MOST * len(self.peers)
                assert endpoint.breaker.until > self.now
                self.in_a_row[id(endpoint)] = 0
            elif not was_out and self.in_a_row[id(endpoint)] >= CONSECUTIVE:
                assert before + 1 > AT_MOST * len(self.peers), "only half may be out"

    @rule()
    def a_request_looks_for_a_probe(self) -> None:
        due = self.outliers.due(KEY, self.peers, self.now)
        ready = [
            each
            for each in self.peers
            if each.breaker.state is State.OPEN and each.usable and self.now >= each.breaker.until
        ]
        assert (due in ready) if ready else (due is None)
        if due is not None:
            probe = object()
            due.breaker.begin_probe(probe)
            self.probes[id(due)] = probe

    @precondition(lambda self: getattr(self, "probes", None))
    @rule(data=st.data(), what=VERDICTS)
    def a_probe_ends(self, data, what) -> None:
        probed = [each for each in self.peers if id(each) in self.probes]
        if not probed:
            return
        endpoint = data.draw(st.sampled_from(probed))
        breaker = endpoint.breaker
        assert breaker.probe is self.probes.pop(id(endpoint))
        breaker.record(what, self.now)

        breaker.end_probe(what, self.now)

        self.in_a_row[id(endpoint)] = 0
        assert (breaker.state is State.CLOSED) == (what is Verdict.GOOD)
        if what is Verdict.NOTHING:
            assert breaker.until == self.now + INCONCLUSIVE

    @rule(data=st.data(), usable=st.booleans())
    def one_is_usable_or_not(self, data, usable) -> None:
        data.draw(st.sampled_from(self.peers)).usable = usable

    @rule(data=st.data())
    def one_leaves_and_another_comes(self, data) -> None:
        place = data.draw(st.integers(0, len(self.peers) - 1))
        self.peers[place].left = True
        self.probes.pop(id(self.peers[place]), None)
        new = Endpoint()
        # The old one is kept, or a new one might have its identity.
        self.gone = [*getattr(self, "gone", []), self.peers[place]]
        self.peers[place] = new
        self.in_a_row[id(new)] = 0

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 60.0, LONGEST]))
    def time_passes(self, seconds) -> None:
        self.now += seconds

    @invariant()
    def whoever_is_out_comes_back_in_bounded_time(self) -> None:
        for each in getattr(self, "peers", []):
            if each.breaker.state is State.OPEN:
                assert each.breaker.until <= self.now + LONGEST
            assert (each.breaker.probe is not None) == (id(each) in self.probes)
            assert (each.breaker.state is State.HALF_OPEN) == (id(each) in self.probes)

    @invariant()
    def those_out_are_known_so_that_somebody_probes_them(self) -> None:
        for each in getattr(self, "peers", []):
            if self._is_out(each):
                assert each in self.outliers.troubled[KEY]

    def _is_out(self, endpoint: Endpoint) -> bool:
        return endpoint.breaker.state is not State.CLOSED


TestEjecting = Ejecting.TestCase
TestEjecting.settings = bounded(50, 40)
TestEjecting.pytestmark = [pytest.mark.timeout(LIMIT)]
