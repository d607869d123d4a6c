"""Rates from counters, quantiles from histograms, over the last ten minutes."""

from math import isnan

import pytest

from gateway.console.history import INTERVAL, KEPT
from gateway.console.samples import MOST_SERIES, Key
from gateway.telemetry.families import family
from tests.gateway.console.traffic_counters import STABLE, Counters


@pytest.fixture
def counters() -> Counters:
    made = Counters()
    made.take()
    return made


def test_before_there_are_two_samples_nothing_is_claimed(counters: Counters):
    assert counters.history.rates(None).requests == 0.0
    assert isnan(counters.history.rates(None).p50)
    assert counters.history.busy() == []


def test_rates_are_differences_over_time(counters: Counters):
    counters.add(40)
    counters.add(10, code="503")
    counters.add(50, code="429")
    counters.tick()
    rates = counters.history.rates(STABLE)
    assert rates.requests == 100 / INTERVAL
    assert (rates.failures, rates.refusals) == (0.1, 0.5)
    assert counters.history.rates(None) == rates


def test_who_left_before_the_answer_was_not_refused(counters: Counters):
    counters.add(10, code="499")
    counters.tick()
    assert counters.history.rates(STABLE).refusals == 0.0


def test_quantiles_lie_within_their_buckets(counters: Counters):
    counters.add(100)
    counters.tick()
    rates = counters.history.rates(STABLE)
    assert rates.p50 == pytest.approx(0.1 * 50 / 90)
    assert rates.p99 == pytest.approx(0.1 + 0.9 * 9 / 10)


def test_a_line_has_a_value_for_each_interval(counters: Counters):
    for count in (5, 0, 10):
        counters.add(count)
        counters.tick()
    assert counters.history.requests(STABLE) == [1.0, 0.0, 2.0]
    assert counters.history.line(lambda rates: rates.requests) == [1.0, 0.0, 2.0]


def test_only_ten_minutes_are_kept_and_the_last_one_counts(counters: Counters):
    for _ in range(KEPT * 2):
        counters.add(5)
        counters.tick()
    assert len(counters.history.line(lambda rates: rates.requests)) == KEPT
    assert len(counters.history.requests(STABLE)) == KEPT
    for _ in range(12):
        counters.tick()
    assert counters.history.rates(None).requests == 0.0
    assert counters.history.busy() == [STABLE]


def test_who_had_no_traffic_for_ten_minutes_is_left_out(counters: Counters):
    counters.add(5)
    counters.tick()
    for _ in range(KEPT - 1):
        counters.tick()
    assert counters.history.requests(STABLE) == [1.0] + [0.0] * (KEPT - 1)
    counters.tick()
    assert counters.history.busy() == []


def test_who_came_later_was_silent_before(counters: Counters):
    counters.tick()
    counters.add(5)
    counters.tick()
    assert counters.history.requests(STABLE) == [0.0, 1.0]


def test_who_had_a_route_comes_first(counters: Counters):
    for key in (Key("", "", "other"), Key("b", "x", "m"), Key("a", "y", "m")):
        counters.add(1, key)
    counters.tick()
    assert [key.route for key in counters.history.busy()] == ["a", "b", ""]


def test_of_very_many_the_busiest_are_kept_and_all_are_in_the_total(counters: Counters):
    for index in range(MOST_SERIES + 50):
        counters.add(index + 1, Key(f"route{index}", "arm", "model"))
    counters.tick()
    assert len(counters.history.busy()) == MOST_SERIES
    total = sum(range(1, MOST_SERIES + 51))
    assert counters.history.rates(None).requests == pytest.approx(total / INTERVAL)


def test_what_should_not_happen_is_told_for_a_minute(counters: Counters):
    def panics(count: float) -> None:
        counters.others = [family("counter", "penstock_panic_picks", "", (), {(): count})]

    panics(7)
    counters.tick()
    assert counters.history.troubles() == {}  # it happened before anybody looked
    panics(10)
    counters.tick()
    assert counters.history.troubles() == {"penstock_panic_picks": 3}
    for _ in range(13):
        counters.tick()
    assert counters.history.troubles() == {}


def test_tables_are_the_newest_sums_by_their_labels(counters: Counters):
    hits = {("fraud", "enforce", "hit"): 3.0}
    of_one = family("counter", "penstock_cache_requests", "", ("route", "mode", "outcome"), hits)
    counters.others = [of_one, of_one]  # two workers
    counters.tick()
    assert counters.history.table("penstock_cache_requests") == {("enforce", "hit", "fraud"): 6}
    assert counters.history.table("penstock_mirrored") == {}
