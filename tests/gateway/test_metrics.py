"""What several workers' counters add up to, also when a worker is replaced."""

from gateway.metrics import Merged, Metrics


def total(merged: Merged, name: str) -> float:
    return sum(
        sample.value
        for metric in merged.collect()
        for sample in metric.samples
        if sample.name == name
    )


def counted(requests: int) -> Metrics:
    metrics = Metrics()
    for _ in range(requests):
        metrics.observe("m", "http", 200, 0.01, 0.0)
    return metrics


def test_workers_add_up() -> None:
    merged = Merged()
    merged.report("0/10", counted(3).families())
    merged.report("1/11", counted(4).families())
    assert total(merged, "penstock_requests_total") == 7


def test_a_newer_report_replaces_the_older() -> None:
    merged = Merged()
    metrics = counted(3)
    merged.report("0/10", metrics.families())
    metrics.observe("m", "http", 200, 0.01, 0.0)
    merged.report("0/10", metrics.families())
    assert total(merged, "penstock_requests_total") == 4


def test_what_a_replaced_worker_counted_stays_once_however_often_it_is_replaced() -> None:
    merged = Merged()
    for process in range(5):
        merged.report(f"0/{process}", counted(2).families())
        merged.report(f"0/{process}", counted(2).families())
    assert total(merged, "penstock_requests_total") == 10


def waiting(requests: float) -> Metrics:
    metrics = Metrics()
    metrics.totals.add_gauge("waiting", "Requests.", ("model",), lambda: {("m",): requests})
    return metrics


def test_gauges_add_up_and_those_of_a_replaced_worker_do_not_count() -> None:
    merged = Merged()
    merged.report("0/10", waiting(3.0).families())
    merged.report("1/11", waiting(4.0).families())
    assert total(merged, "waiting") == 7
    merged.report("1/12", waiting(1.0).families())
    assert total(merged, "waiting") == 4
