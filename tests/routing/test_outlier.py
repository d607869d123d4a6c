"""Ejection: after failures in a row or against peers, never of more than half, back by a probe."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.breaker import BURST, LONGEST, Breaker, State, Verdict
from routing.outlier import AT_MOST, CONSECUTIVE, ENOUGH, Outliers

KEY = ("m", "1")
GOOD, BAD, MODEL = Verdict.GOOD, Verdict.BAD, Verdict.MODEL


class Endpoint:
    def __init__(self, usable=True):
        self.usable = usable
        self.left = False
        self.breakers = {KEY: Breaker()}

    @property
    def breaker(self):
        return self.breakers[KEY]


def several(number=4):
    return [Endpoint() for _ in range(number)]


def fail(endpoint, peers, outliers, now=0.0, times=CONSECUTIVE):
    """Fails so often in a row; whether the last failure ejected it."""
    ejected = False
    for n in range(times):
        at = now + n * 2 * BURST
        endpoint.breaker.record(BAD, at)
        ejected = outliers.judge(endpoint, KEY, peers, at)
    return ejected


def test_failures_in_a_row_eject():
    peers, outliers = several(), Outliers()
    assert not fail(peers[0], peers, outliers, times=CONSECUTIVE - 1)
    assert fail(peers[0], peers, outliers, now=1.0, times=1)
    assert peers[0].breaker.state is State.OPEN
    assert outliers.excludes(peers[0], KEY)
    assert outliers.ejections == 1


def test_an_answer_in_between_begins_the_row_anew():
    peers, outliers = several(), Outliers()
    fail(peers[0], peers, outliers, times=CONSECUTIVE - 1)
    peers[0].breaker.record(GOOD, 1.0)
    assert not fail(peers[0], peers, outliers, now=1.0, times=CONSECUTIVE - 1)


def test_other_model_versions_of_the_endpoint_stay_in_service():
    peers, outliers = several(), Outliers()
    fail(peers[0], peers, outliers)
    assert not outliers.excludes(peers[0], ("m", "2"))


@pytest.mark.parametrize(("number", "most"), [(1, 0), (2, 1), (3, 1), (4, 2), (9, 4)])
def test_at_most_half_are_ejected_at_a_time(number, most):
    peers, outliers = several(number), Outliers()
    assert sum(fail(peer, peers, outliers) for peer in peers) == most


def test_an_endpoint_that_could_not_be_ejected_is_when_another_is_back():
    peers, outliers = several(2), Outliers()
    assert fail(peers[0], peers, outliers)
    assert not fail(peers[1], peers, outliers)
    peers[0].breaker.begin_probe("probe")
    peers[0].breaker.end_probe(GOOD, 6.0)
    assert fail(peers[1], peers, outliers, now=6.0, times=1)


def test_one_probe_at_a_time_and_only_when_the_time_is_over():
    peers, outliers = several(), Outliers()
    fail(peers[0], peers, outliers)
    until = peers[0].breaker.until
    assert outliers.due(KEY, peers, until - 0.01) is None
    assert outliers.due(KEY, peers, until) is peers[0]
    peers[0].breaker.begin_probe("probe")
    assert outliers.due(KEY, peers, until) is None


def test_an_endpoint_that_can_not_be_used_is_not_probed():
    peers, outliers = several(), Outliers()
    fail(peers[0], peers, outliers)
    peers[0].usable = False
    assert outliers.due(KEY, peers, 100.0) is None
    assert KEY in outliers.troubled


def test_a_probe_that_succeeds_ends_the_trouble():
    peers, outliers = several(), Outliers()
    fail(peers[0], peers, outliers)
    peers[0].breaker.begin_probe("probe")
    peers[0].breaker.end_probe(GOOD, 10.0)
    assert not outliers.excludes(peers[0], KEY)
    assert outliers.due(KEY, peers, 10.0) is None
    assert outliers.troubled == {}


def test_an_ejected_endpoint_whose_model_is_loaded_anew_is_ejected_still_when_it_is_back():
    peers, outliers = several(), Outliers()
    fail(peers[0], peers, outliers)
    until = peers[0].breaker.until
    assert outliers.due(KEY, peers[1:], 1.0) is None
    assert KEY in outliers.troubled
    assert outliers.excludes(peers[0], KEY)
    assert outliers.due(KEY, peers, until) is peers[0]


def test_an_ejected_endpoint_that_left_is_no_trouble_any_more():
    peers, outliers = several(), Outliers()
    fail(peers[0], peers, outliers)
    peers[0].left = True
    assert outliers.due(KEY, peers[1:], 1.0) is None
    assert outliers.troubled == {}


def test_those_who_left_are_forgotten_though_nobody_asks_for_their_model_any_more():
    peers, outliers = several(), Outliers()
    fail(peers[0], peers, outliers)
    peers[0].left = True
    others = several()
    for other in others:
        other.breakers = {("other", "1"): Breaker()}
    for n in range(CONSECUTIVE):
        others[0].breakers["other", "1"].record(BAD, float(n))
        outliers.judge(others[0], ("other", "1"), others, float(n))
    assert outliers.troubled == {("other", "1"): [others[0]]}


def record(endpoint, good, failed, now=0.0):
    for _ in range(good):
        endpoint.breaker.record(GOOD, now)
    for _ in range(failed):
        endpoint.breaker.record(MODEL, now)


def test_a_model_that_fails_on_one_endpoint_only_ejects_it():
    peers, outliers = several(3), Outliers()
    record(peers[0], 70, 30)
    record(peers[1], 100, 0)
    record(peers[2], 99, 1)
    assert outliers.judge(peers[0], KEY, peers, 0.0)


def test_inputs_at_which_the_model_fails_everywhere_eject_nobody():
    peers, outliers = several(3), Outliers()
    for peer in peers:
        record(peer, 0, 500)
    assert not any(outliers.judge(peer, KEY, peers, 0.0) for peer in peers)


def test_model_failures_in_a_row_alone_eject_nobody():
    peers, outliers = several(3), Outliers()
    record(peers[0], 0, 500)
    assert not outliers.judge(peers[0], KEY, peers, 0.0)  # its peers were asked nothing


def test_too_few_calls_and_too_small_differences_are_no_evidence():
    peers, outliers = several(3), Outliers()
    record(peers[0], 0, ENOUGH - 1)
    record(peers[1], 1000, 0)
    assert not outliers.judge(peers[0], KEY, peers, 0.0)
    peers = several(3)
    record(peers[0], 91_000, 9_000)
    record(peers[1], 100_000, 0)
    assert not outliers.judge(peers[0], KEY, peers, 0.0)


CALLS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(list(Verdict)),
        st.floats(0, 20),
        st.sets(st.integers(0, 5), max_size=2),
    ),
    max_size=200,
)


@given(CALLS)
@settings(deadline=None, max_examples=100)
def test_whatever_happens_half_stay_in_service_and_nobody_is_out_for_longer_than_the_longest(calls):
    peers, outliers = several(6), Outliers()
    now = 0.0
    for index, what, pause, _ in calls:
        now += pause
        probed = outliers.due(KEY, peers, now)
        if probed is not None:
            probed.breaker.begin_probe("probe")
            probed.breaker.end_probe(what, now)
        peers[index].breaker.record(what, now)
        outliers.judge(peers[index], KEY, peers, now)
        out = [peer for peer in peers if outliers.excludes(peer, KEY)]
        assert len(out) <= AT_MOST * len(peers)
        assert all(peer.breaker.until <= now + LONGEST for peer in out)
        assert bool(out) <= (KEY in outliers.troubled)


@given(CALLS)
@settings(deadline=None, max_examples=100)
def test_whoever_serves_now_and_then_every_ejected_endpoint_is_probed_in_the_end(calls):
    peers, outliers = several(6), Outliers()
    now = 0.0
    for index, what, pause, away in calls:
        now += pause
        serving = [peer for n, peer in enumerate(peers) if n not in away]
        outliers.due(KEY, serving, now)
        peers[index].breaker.record(what, now)
        outliers.judge(peers[index], KEY, serving, now)
    now += LONGEST
    while (probed := outliers.due(KEY, peers, now)) is not None:
        probed.breaker.begin_probe("probe")
        probed.breaker.end_probe(GOOD, now)
    assert not any(outliers.excludes(peer, KEY) for peer in peers)
    outliers.due(KEY, peers, now)
    assert outliers.troubled == {}
