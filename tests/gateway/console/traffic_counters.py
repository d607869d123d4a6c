"""Counters of requests as workers would report them, and their history."""

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric

from gateway.console.history import INTERVAL, History, Key

STABLE = Key("fraud", "stable", "fraud")
LABELS = ("route", "arm", "model", "code")


class Counters:
    """What workers would report, and a clock."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, ...], float] = {}
        self.others: list[Metric] = []
        self.now = 0.0
        self.history = History(self.look, lambda: self.now)

    def look(self) -> list[Metric]:
        counter = CounterMetricFamily("penstock_requests", "", labels=LABELS)
        durations = HistogramMetricFamily("penstock_request_duration_seconds", "", labels=LABELS)
        for labels, count in self.requests.items():
            counter.add_metric(labels, count)
            buckets = [("0.1", count * 0.9), ("1.0", count), ("+Inf", count)]
            durations.add_metric(labels, buckets, count)
        return [counter, durations, *self.others]

    def add(self, count: float, key: Key = STABLE, code: str = "200") -> None:
        labels = (*key, code)
        self.requests[labels] = self.requests.get(labels, 0.0) + count

    def tick(self) -> None:
        self.now += INTERVAL
        self.history.take()
