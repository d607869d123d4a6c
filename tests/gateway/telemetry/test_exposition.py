"""A page is what OpenMetrics asks for, and says what the messages do."""

import random
import sys
from math import inf, isnan, nan

import pytest

from gateway.telemetry import turns
from gateway.telemetry.exposition import page
from gateway.telemetry.families import family, histogram_family
from protos.histogram import Exemplar, Histogram
from tests.gateway.telemetry.collected import collected

HOSTILE = 'back\\slash, "quotes", and a\nline } # EOF'


def test_counters_and_gauges_have_their_labels_and_values() -> None:
    counter = family("counter", "seen", "Seen.", ("route", "code"), {("r", "200"): 3, ("", ""): 0})
    gauge = family("gauge", "now", "Now.", (), {(): 0.1})
    assert page([counter, gauge]).decode().splitlines() == [
        "# HELP seen Seen.",
        "# TYPE seen counter",
        'seen_total{route="r",code="200"} 3.0',
        'seen_total{route="",code=""} 0.0',
        "# HELP now Now.",
        "# TYPE now gauge",
        "now 0.1",
        "# EOF",
    ]


def test_buckets_are_cumulative_and_exemplars_stand_behind_theirs() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.5, 0.7, 3.0):
        bucket = histogram.observe(value)
    histogram.exemplars[bucket] = Exemplar("0af7", 3.0, 100.5)
    found = histogram_family("seconds", "Time.", ("model",), {("m",): histogram})
    assert page([found]).decode().splitlines()[2:] == [
        'seconds_bucket{model="m",le="0.1"} 1.0',
        'seconds_bucket{model="m",le="1.0"} 3.0',
        'seconds_bucket{model="m",le="+Inf"} 4.0 # {trace_id="0af7"} 3.0 100.5',
        'seconds_count{model="m"} 4.0',
        'seconds_sum{model="m"} 4.25',
        "# EOF",
    ]


def test_any_text_may_be_a_label_or_an_explanation() -> None:
    hostile = family("gauge", "shown", HOSTILE, ("model",), {(HOSTILE,): 1})
    (metric,) = collected([hostile])
    assert (metric.documentation, metric.samples[0].labels) == (HOSTILE, {"model": HOSTILE})


@pytest.mark.parametrize("value", [0.0, -1.5, 1e300, 5e-324, inf, -inf, nan])
def test_numbers_are_read_as_they_were(value: float) -> None:
    (metric,) = collected([family("gauge", "shown", "", (), {(): value})])
    (sample,) = metric.samples
    assert sample.value == value or (isnan(value) and isnan(sample.value))


def test_a_scraper_reads_what_was_counted() -> None:
    chance = random.Random(1)
    histograms = {}
    for number in range(100):
        made = histograms[f"r{number}", HOSTILE] = Histogram((0.1, 0.2, 0.5, 1.0))
        for _ in range(20):
            made.observe(chance.random() * 1.2)
    (metric,) = collected([histogram_family("seconds", "", ("route", "text"), histograms)])
    for labels, histogram in histograms.items():
        found = [each.value for each in metric.samples if each.labels["route"] == labels[0]]
        ends = [sum(histogram.counts[: end + 1]) for end in range(5)]
        assert found == [*ends, 20, pytest.approx(histogram.sum)]


def test_whoever_writes_a_page_rests_between_series(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(turns.time, "sleep", rests.append)
    many = {(str(number),): 1.0 for number in range(1000)}
    page([family("counter", "seen", "", ("route",), many)])
    assert len(rests) == 1000 // turns.EVERY


def test_a_series_costs_few_steps() -> None:
    """Calls of Python functions, which no other load on the machine changes."""
    histograms = {(str(number),): Histogram((0.1, 1.0, 10.0)) for number in range(1000)}
    found = histogram_family("seconds", "", ("route",), histograms)
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        page([found])
    finally:
        sys.setprofile(None)
    assert calls < 1000 * 12
