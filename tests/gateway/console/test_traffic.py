"""Traffic is drawn once for each sample, however many people look."""

from gateway.console.traffic import Traffic
from tests.gateway.console.traffic_counters import STABLE, Counters


def test_all_who_look_between_two_samples_are_shown_the_same_drawing():
    counters = Counters()
    counters.take()
    traffic = Traffic(counters.history)
    counters.add(10)
    counters.tick()
    first = traffic.parts()
    counters.add(990)  # counted, but not sampled yet
    assert traffic.parts() is first
    counters.tick()
    assert traffic.parts() is not first
    assert STABLE.route in traffic.parts()[1]


def test_nothing_is_drawn_of_nobody():
    counters = Counters()
    counters.take()
    assert "No requests in the last ten minutes." in Traffic(counters.history).parts()[1]
