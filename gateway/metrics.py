"""What a worker counts, and how several workers' counts become one page.

Each worker has a registry of its own and reports it to the supervisor, which adds the reports up;
prometheus-client's multiprocess files are not used, since nobody reaps those of dead processes.
Labels are bounded: models come from the endpoint table, everything else is "other".
"""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest

from protos import discovery_pb2 as pb

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


# Values by those of the labels.
Labelled = Mapping[tuple[str, ...], float]


LabelledCount = tuple[str, str, tuple[str, ...], Callable[[], Labelled]]


class Totals:
    """A collector of what other objects count: read when somebody looks.

    Gauges of workers add up, too, so they should be of what can be added.
    """

    def __init__(self) -> None:
        self._counts: list[tuple[str, str, Callable[[], float]]] = []
        self._labelled: list[LabelledCount] = []
        self._gauges: list[LabelledCount] = []

    def add(self, name: str, text: str, value: Callable[[], float]) -> None:
        self._counts.append((name, text, value))

    def add_labelled(
        self, name: str, text: str, labels: tuple[str, ...], values: Callable[[], Labelled]
    ) -> None:
        self._labelled.append((name, text, labels, values))

    def add_gauge(
        self, name: str, text: str, labels: tuple[str, ...], values: Callable[[], Labelled]
    ) -> None:
        self._gauges.append((name, text, labels, values))

    def collect(self) -> Iterable[Metric]:
        for name, text, value in self._counts:
            yield CounterMetricFamily(name, text, value=value())
        for name, text, labels, values in self._labelled:
            family = CounterMetricFamily(name, text, labels=labels)
            for found, number in values().items():
                family.add_metric(found, number)
            yield family
        for name, text, labels, values in self._gauges:
            gauge = GaugeMetricFamily(name, text, labels=labels)
            for found, number in values().items():
                gauge.add_metric(found, number)
            yield gauge


class Metrics:
    """The request metrics of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "penstock_requests",
            "Requests answered, by model, face and HTTP code.",
            ("model", "face", "code"),
            registry=self.registry,
        )
        self._duration = Histogram(
            "penstock_request_duration_seconds",
            "From the request's head to the last byte of the reply.",
            ("model", "face"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._overhead = Histogram(
            "penstock_overhead_seconds",
            "Duration less the queue and compute time that the backend reports.",
            ("model", "face"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._arms = Counter(
            "penstock_arm_requests",
            "Requests sent to an arm of a route, by HTTP code.",
            ("route", "arm", "code"),
            registry=self.registry,
        )
        self.totals = Totals()
        self.registry.register(self.totals)
        # `labels` costs more than the increment; the children are kept. Models are bounded by the
        # endpoint table, so this is too.
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[tuple[str, str], tuple[Histogram, Histogram]] = {}
        self._of_arms: dict[tuple[str, str, int], Counter] = {}

    def observe(self, model: str, face: str, code: int, seconds: float, backend: float) -> None:
        """Counts one answered request; `model` must be bounded ("other" for unknown ones)."""
        counter = self._counters.get((model, face, code))
        if counter is None:
            counter = self._requests.labels(model, face, str(code))
            self._counters[model, face, code] = counter
        counter.inc()
        histograms = self._histograms.get((model, face))
        if histograms is None:
            histograms = (self._duration.labels(model, face), self._overhead.labels(model, face))
            self._histograms[model, face] = histograms
        histograms[0].observe(seconds)
        if backend:
            histograms[1].observe(max(0.0, seconds - backend))

    def arm(self, route: str, arm: str, code: int) -> None:
        """Counts a request that an arm served or failed; both names are those of documents."""
        counter = self._of_arms.get((route, arm, code))
        if counter is None:
            counter = self._of_arms[route, arm, code] = self._arms.labels(route, arm, str(code))
        counter.inc()

    def families(self) -> list[pb.MetricFamily]:
        """Everything as messages for the supervisor."""
        return [_family(metric) for metric in self.registry.collect()]


def _family(metric: Metric) -> pb.MetricFamily:
    family = pb.MetricFamily(name=metric.name, help=metric.documentation, type=metric.type)
    for sample in metric.samples:
        # "created" times can't be added up and say nothing that `up` doesn't.
        if not sample.name.endswith("_created"):
            family.samples.add(name=sample.name, labels=sample.labels, value=sample.value)
    return family


Sums = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Merged:
    """A collector of several workers' families: samples of the same name and labels add up."""

    def __init__(self) -> None:
        self._reports: dict[str, list[pb.MetricFamily]] = {}
        self._processes: dict[str, str] = {}
        # Of workers that are gone: their counters stay in the sum, or rates would go negative.
        self._gone: dict[str, Sums] = {}
        self._described: dict[str, pb.MetricFamily] = {}

    def report(self, worker: str, families: Iterable[pb.MetricFamily]) -> None:
        """What the counters have reached of a worker `number/process`.

        Another process of the same number has taken the former one's place.
        """
        number = worker.partition("/")[0]
        former = self._processes.get(number)
        if former != worker:
            self._processes[number] = worker
            self._retire(former)
        self._reports[worker] = list(families)

    def _retire(self, worker: str | None) -> None:
        for family in self._reports.pop(worker or "", []):
            if family.type != "gauge":
                self._described.setdefault(family.name, family)
                _add(self._gone.setdefault(family.name, {}), family)

    def collect(self) -> Iterable[Metric]:
        sums = {name: dict(samples) for name, samples in self._gone.items()}
        described = dict(self._described)
        for families in self._reports.values():
            for family in families:
                described.setdefault(family.name, family)
                _add(sums.setdefault(family.name, {}), family)
        for name, samples in sums.items():
            metric = Metric(name, described[name].help, described[name].type)
            for (sample_name, labels), value in samples.items():
                metric.add_sample(sample_name, dict(labels), value)
            yield metric


def _add(sums: Sums, family: pb.MetricFamily) -> None:
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        sums[key] = sums.get(key, 0.0) + sample.value


def page(registry: CollectorRegistry) -> bytes:
    """The OpenMetrics text of a registry."""
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text
