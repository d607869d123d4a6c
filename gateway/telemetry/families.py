"""Families of metrics as messages: what workers report, and how it becomes a page."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from protos import discovery_pb2 as pb
from protos.histogram import Histogram

# Values by those of the labels.
Labelled = Mapping[tuple[str, ...], float]
Histograms = Mapping[tuple[str, ...], Histogram]
Turns = Callable[[Iterable[Any]], Iterator[Any]]
Read = Callable[[], Labelled]
ReadHistograms = Callable[[], Histograms]


def family(
    kind: str,
    name: str,
    text: str,
    labels: Iterable[str],
    values: Labelled,
    merge: pb.Merge = pb.SUM,
    turns: Turns = iter,
) -> pb.MetricFamily:
    """Counters or gauges; a counter's name is without `_total`. `turns` says when to rest."""
    made = pb.MetricFamily(name=name, help=text, type=kind, merge=merge, labels=labels)
    # A copy of the items: some are read on another thread than the one that counts.
    for found, value in turns(list(values.items())):
        made.series.add(labels=found, value=value)
    return made


def histogram_family(
    name: str,
    text: str,
    labels: Iterable[str],
    histograms: Histograms,
    merge: pb.Merge = pb.SUM,
    turns: Turns = iter,
) -> pb.MetricFamily:
    made = pb.MetricFamily(name=name, help=text, type="histogram", merge=merge, labels=labels)
    for found, each in turns(list(histograms.items())):
        if not made.bounds:
            made.bounds.extend(each.bounds)
        series = made.series.add(labels=found, value=each.sum, counts=each.counts)
        for bucket, exemplar in list(each.exemplars.items()):
            series.exemplars.add(
                bucket=bucket, trace_id=exemplar.trace_id, value=exemplar.value, at=exemplar.at
            )
    return made
