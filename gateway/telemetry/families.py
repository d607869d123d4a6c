"""Families of metrics as messages: what workers report, and how it becomes a page."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from protos import discovery_pb2 as pb
from protos.histogram import Histogram

# Values by those of the labels.
Labelled = Mapping[tuple[str, ...], float]
Histograms = Mapping[tuple[str, ...], Histogram]
Read = Callable[[], Labelled]
ReadHistograms = Callable[[], Histograms]


def family(
    kind: str,
    name: str,
    text: str,
    labels: Iterable[str],
    values: Labelled,
    merge: pb.Merge = pb.SUM,
) -> pb.MetricFamily:
    """Counters or gauges; a counter's name is without `_total`."""
    made = pb.MetricFamily(name=name, help=text, type=kind, merge=merge, labels=labels)
    # A copy of the items: some are read on another thread than the one that counts.
    for found, value in list(values.items()):
        made.series.add(labels=found, value=value)
    return made


def histogram_family(
    name: str,
    text: str,
    labels: Iterable[str],
    histograms: Histograms,
    merge: pb.Merge = pb.SUM,
) -> pb.MetricFamily:
    made = pb.MetricFamily(name=name, help=text, type="histogram", merge=merge, labels=labels)
    for found, each in list(histograms.items()):
        if not made.bounds:
            made.bounds.extend(each.bounds)
        series = made.series.add(labels=found, value=each.sum, counts=each.counts)
        for bucket, exemplar in list(each.exemplars.items()):
            series.exemplars.add(
                bucket=bucket, trace_id=exemplar.trace_id, value=exemplar.value, at=exemplar.at
            )
    return made


def metric_of(found: pb.MetricFamily) -> Metric:
    """The family as prometheus-client writes it; a histogram's buckets become cumulative."""
    if found.type == "histogram":
        return _histogram(found)
    names = tuple(found.labels)
    metric: CounterMetricFamily | GaugeMetricFamily
    if found.type == "counter":
        metric = CounterMetricFamily(found.name, found.help, labels=names)
    else:
        metric = GaugeMetricFamily(found.name, found.help, labels=names)
    for series in found.series:
        metric.add_metric(series.labels, series.value)
    return metric


def _histogram(found: pb.MetricFamily) -> Metric:
    metric = HistogramMetricFamily(found.name, found.help, labels=tuple(found.labels))
    ends = [*map(floatToGoString, found.bounds), "+Inf"]
    for series in found.series:
        exemplars = {each.bucket: each for each in series.exemplars}
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        total = 0
        for bucket, (end, count) in enumerate(zip(ends, series.counts, strict=True)):
            total += count
            told = exemplars.get(bucket)
            if told is None:
                buckets.append((end, total))
            else:
                shown = Exemplar({"trace_id": told.trace_id}, told.value, told.at)
                buckets.append((end, total, shown))
        metric.add_metric(series.labels, buckets, series.value)
    return metric
