"""What is measured here: averages that jump to peaks, and quantiles of what is recent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.latency import ENOUGH, FORGET, WINDOW, PeakEwma, Recent


def test_a_peak_counts_at_once_and_in_full():
    ewma = PeakEwma()
    for n in range(100):
        ewma.observe(0.001, n * 0.01)
    ewma.observe(0.5, 1.0)
    assert ewma.at(1.0) == 0.5


def test_a_peak_is_forgotten_with_time_and_not_with_the_number_of_samples():
    busy, idle = PeakEwma(), PeakEwma()
    busy.observe(0.5, 0.0)
    idle.observe(0.5, 0.0)
    for n in range(1, 1001):
        busy.observe(0.0, n * FORGET / 1000)
    assert busy.at(FORGET) == pytest.approx(idle.at(FORGET)) == pytest.approx(0.5 / 2.71828, 1e-4)


def test_without_samples_it_tends_to_nothing():
    ewma = PeakEwma()
    ewma.observe(0.5, 0.0)
    assert ewma.at(12 * FORGET) < 1e-5


def test_a_lower_bound_raises_and_never_calms():
    ewma = PeakEwma()
    ewma.at_least(0.2, 0.0)
    assert ewma.at(0.0) == 0.2
    ewma.at_least(0.1, 0.0)
    assert ewma.at(0.0) == 0.2


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 100)), min_size=1, max_size=30))
def test_the_average_lies_within_what_was_seen(samples):
    ewma = PeakEwma()
    now = 0.0
    for sample, pause in samples:
        now += pause
        ewma.observe(sample, now)
        assert sample - 1e-5 <= ewma.at(now) <= max(s for s, _ in samples) + 1e-9


def test_few_latencies_have_no_quantile():
    recent = Recent()
    for _ in range(ENOUGH - 1):
        recent.add(0.01, 0.0)
    assert recent.quantile(0.95, 0.0) is None
    recent.add(0.01, 0.0)
    assert recent.quantile(0.95, 1.0) == pytest.approx(0.01, rel=0.05)


def test_a_quantile_is_of_the_last_windows_only():
    recent = Recent()
    for n in range(200):
        recent.add(1.0, n * 0.01)
    for n in range(200):
        recent.add(0.01, WINDOW + n * 0.01)
    assert recent.quantile(0.9, WINDOW + 5) == pytest.approx(1.0, rel=0.05)
    for n in range(200):
        recent.add(0.01, 2 * WINDOW + n * 0.01)
    assert recent.quantile(0.9, 2 * WINDOW + 5) == pytest.approx(0.01, rel=0.05)
    assert recent.quantile(0.9, 10 * WINDOW) is None


def test_two_quantiles_are_not_mixed_up():
    recent = Recent()
    for n in range(1000):
        recent.add(0.001 * (n + 1), 0.0)
    assert recent.quantile(0.5, 0.0) == pytest.approx(0.5, rel=0.05)
    assert recent.quantile(0.99, 0.0) == pytest.approx(0.99, rel=0.05)
