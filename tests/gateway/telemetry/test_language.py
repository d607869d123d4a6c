"""Requests that took tokens are counted by model and adapter, streams by their times too."""

import pytest

from gateway.metrics import Totals
from gateway.telemetry.language import MOST, LanguageMetrics
from protos.timeline import Timeline, Used
from tests.gateway.telemetry.collected import collected


def timeline(prompt=10, completion=5, cached=4, *, streaming=True, answered=1.5):
    used = Used(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached)
    return Timeline(1.0, used=used, streaming=streaming, answered=answered)


def samples(metrics):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.families()
        for sample in collected([family])[0].samples
    }


def test_tokens_are_counted_by_model_and_adapter():
    metrics = LanguageMetrics()
    metrics.observe("m", timeline(), 3.5)
    metrics.observe("m", timeline(), 3.5)
    metrics.observe("m:legal", timeline(prompt=7, cached=0), 3.5)
    found = samples(metrics)
    assert found["penstock_tokens_total", "m", "", "prompt"] == 20
    assert found["penstock_tokens_total", "m", "", "cached"] == 8
    assert found["penstock_tokens_total", "m", "legal", "prompt"] == 7
    assert found["penstock_tokens_total", "m", "legal", "completion"] == 5


def test_a_stream_tells_its_first_token_and_the_mean_of_the_others():
    metrics = LanguageMetrics()
    metrics.observe("m", timeline(), 3.5)
    found = samples(metrics)
    assert found["penstock_time_to_first_token_seconds_sum", "m", ""] == 0.5
    assert found["penstock_inter_token_latency_seconds_sum", "m", ""] == 0.5
    assert found["penstock_inter_token_latency_seconds_bucket", "m", "", "0.25"] == 0
    assert found["penstock_inter_token_latency_seconds_bucket", "m", "", "0.5"] == 1


@pytest.mark.parametrize(
    ("wishes", "first", "between"),
    [({"streaming": False}, 0, 0), ({"answered": 0.0}, 0, 0), ({"completion": 1}, 1, 0)],
    ids=["whole answer", "never answered", "one token"],
)
def test_what_has_no_times_of_tokens_tells_none(wishes, first, between):
    metrics = LanguageMetrics()
    metrics.observe("m", timeline(**wishes), 3.5)
    found = samples(metrics)
    assert found["penstock_time_to_first_token_seconds_count", "m", ""] == first
    assert found["penstock_inter_token_latency_seconds_count", "m", ""] == between


def test_requests_without_tokens_leave_nothing():
    metrics = LanguageMetrics()
    metrics.observe("m", timeline(0, 0, 0), 3.5)
    assert samples(metrics) == {}


def test_models_beyond_the_bound_are_others_together():
    metrics = LanguageMetrics()
    for number in range(10 * MOST):
        metrics.observe(f"m{number}", timeline(), 3.5)
    assert len({key[1] for key in samples(metrics)}) == MOST + 1
    assert samples(metrics)["penstock_tokens_total", "other", "", "prompt"] == 90 * MOST


def test_an_empty_page_is_no_fault():
    totals = Totals()
    totals.add_families(LanguageMetrics().families)
    assert [metric.samples for metric in collected(totals.families())] == [[], [], []]
