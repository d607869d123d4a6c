"""What several workers' counters add up to, also when a worker is replaced."""

import pytest

from gateway.metrics import Totals
from gateway.telemetry.merged import Merged
from gateway.telemetry.requests import RequestMetrics
from protos import discovery_pb2 as pb
from protos.histogram import Exemplar, Histogram
from protos.timeline import Timeline
from tests.gateway.telemetry.collected import collected

NEVER = 1.0


def samples(merged: Merged, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for metric in collected(merged.families())
        for sample in metric.samples
        if sample.name == name
    }


def total(merged: Merged, name: str) -> float:
    return sum(samples(merged, name).values())


def count(metrics: RequestMetrics, requests: int) -> RequestMetrics:
    for _ in range(requests):
        metrics.observe("r", "m", "http", 200, Timeline(0.0), 0.01)
    return metrics


def counted(requests: int) -> RequestMetrics:
    return count(RequestMetrics(lambda: NEVER), requests)


def test_workers_add_up() -> None:
    merged = Merged()
    merged.report("0/10", counted(3).families())
    merged.report("1/11", counted(4).families())
    assert total(merged, "penstock_requests_total") == 7
    assert total(merged, "penstock_request_duration_seconds_count") == 7
    assert total(merged, "penstock_request_duration_seconds_sum") == pytest.approx(0.07)


def test_a_worker_that_has_served_nothing_yet_may_report_first() -> None:
    merged = Merged()
    merged.report("0/10", counted(0).families())
    merged.report("1/11", counted(4).families())
    assert total(merged, "penstock_request_duration_seconds_count") == 4


def test_a_newer_report_replaces_the_older() -> None:
    merged = Merged()
    metrics = counted(3)
    merged.report("0/10", metrics.families())
    merged.report("0/10", count(metrics, 1).families())
    assert total(merged, "penstock_requests_total") == 4


def test_what_a_replaced_worker_counted_stays_once_however_often_it_is_replaced() -> None:
    merged = Merged()
    for process in range(5):
        merged.report(f"0/{process}", counted(2).families())
        merged.report(f"0/{process}", counted(2).families())
    assert total(merged, "penstock_requests_total") == 10
    assert total(merged, "penstock_request_duration_seconds_count") == 10


def showing(value: float, merge: pb.Merge = pb.SUM) -> list[pb.MetricFamily]:
    totals = Totals()
    totals.add_gauge("shown", "A gauge.", ("model",), lambda: {("m",): value}, merge)
    return totals.families()


def test_gauges_add_up_and_those_of_a_replaced_worker_do_not_count() -> None:
    merged = Merged()
    merged.report("0/10", showing(3.0))
    merged.report("1/11", showing(4.0))
    assert samples(merged, "shown") == {("m",): 7}
    merged.report("1/12", showing(1.0))
    assert samples(merged, "shown") == {("m",): 4}


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        (pb.MAX, {("m",): 4.0}),
        (pb.MIN, {("m",): 3.0}),
        (pb.EACH, {("m", "0"): 3.0, ("m", "1"): 4.0}),
    ],
)
def test_gauges_that_cannot_be_added_are_not(merge, expected) -> None:
    merged = Merged()
    merged.report("0/10", showing(3.0, merge))
    merged.report("1/11", showing(4.0, merge))
    assert samples(merged, "shown") == expected


def test_of_a_worker_by_itself_nothing_is_left_when_it_is_replaced() -> None:
    merged = Merged()
    merged.report("0/10", showing(3.0, pb.EACH))
    merged.report("0/11", showing(1.0, pb.EACH))
    assert samples(merged, "shown") == {("m", "0"): 1.0}


def with_exemplar(trace: str, value: float, at: float) -> list[pb.MetricFamily]:
    histogram = Histogram((0.1, 1.0))
    histogram.exemplars[histogram.observe(value)] = Exemplar(trace, value, at)
    totals = Totals()
    totals.add_histogram("seconds", "A histogram.", (), lambda: {(): histogram})
    return totals.families()


def test_the_newest_exemplar_of_each_bucket_stays_also_of_workers_that_are_gone() -> None:
    merged = Merged()
    merged.report("0/10", with_exemplar("old", 0.5, 100.0))
    merged.report("1/11", with_exemplar("new", 0.6, 200.0))
    merged.report("2/12", with_exemplar("large", 3.0, 50.0))
    merged.report("2/13", counted(0).families())
    (metric,) = [each for each in collected(merged.families()) if each.name == "seconds"]
    found = [
        (sample.labels["le"], sample.value, sample.exemplar and sample.exemplar.labels["trace_id"])
        for sample in metric.samples
        if sample.name == "seconds_bucket"
    ]
    assert found == [("0.1", 0, None), ("1.0", 2, "new"), ("+Inf", 3, "large")]
