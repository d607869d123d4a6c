"""Counters of requests as workers would report them, and their history."""

from gateway.console.history import INTERVAL, History
from gateway.console.samples import Key, read
from gateway.telemetry.families import family, histogram_family
from protos import discovery_pb2 as pb
from protos.histogram import Histogram

STABLE = Key("fraud", "stable", "fraud")
LABELS = ("route", "arm", "model", "code")


class Counters:
    """What workers would report, and a clock."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, ...], int] = {}
        self.others: list[pb.MetricFamily] = []
        self.now = 0.0
        self.history = History(self.look, lambda: self.now)

    def look(self) -> list[pb.MetricFamily]:
        durations = {}
        for labels, count in self.requests.items():
            made = durations[labels] = Histogram((0.1, 1.0))
            made.counts = [round(count * 0.9), count - round(count * 0.9), 0]
        return [
            family("counter", "penstock_requests", "", LABELS, self.requests),
            histogram_family("penstock_request_duration_seconds", "", LABELS, durations),
            *self.others,
        ]

    def add(self, count: int, key: Key = STABLE, code: str = "200") -> None:
        labels = (*key, code)
        self.requests[labels] = self.requests.get(labels, 0) + count

    def tick(self) -> None:
        self.now += INTERVAL
        self.take()

    def take(self) -> None:
        self.history.take(*read(self.look(), self.now))
