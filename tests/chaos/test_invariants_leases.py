"""What is held against leases and restarts: both outcomes of each."""

from dataclasses import replace

from chaos.history import History, Request
from chaos.invariants import lost_only_in_flight, nobody_evicted, within


def test_a_lease_that_ran_out_is_told() -> None:
    assert nobody_evicted(0.0).holds
    assert not nobody_evicted(1.0).holds


def test_the_slowest_time_counts() -> None:
    assert within([0.5, 1.9], 2.0, "serves").holds
    assert not within([0.5, 2.1], 2.0, "serves").holds
    assert not within([], 2.0, "serves").holds
    assert within([0.5], 2.0, "serves").timed


def test_what_was_in_flight_may_be_lost_and_nothing_else() -> None:
    answered = Request(1, planned=1.0, sent=1.0, done=1.5, status=200, whole=True)
    in_flight = replace(answered, status=0, whole=False)
    later = replace(in_flight, sent=1.9, done=2.0)

    assert lost_only_in_flight(History([answered, in_flight]), at=1.2).holds
    assert not lost_only_in_flight(History([answered, later]), at=1.2).holds
    assert not lost_only_in_flight(History([in_flight]), at=1.6).holds
