"""Families as OpenMetrics text, straight from their messages.

https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md, version 1.0.0. By
way of prometheus-client's samples, one object for each bucket, it costs ten times as much, and a
page has as many buckets as routes, arms, models and codes make.
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import isfinite, isnan

from gateway.telemetry.turns import in_turns
from protos import discovery_pb2 as pb

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def page(families: Iterable[pb.MetricFamily]) -> bytes:
    """The whole page; takes as long as it takes, so it is to be made in a thread."""
    pieces: list[str] = []
    for family in families:
        name = family.name
        pieces.append(f"# HELP {name} {_escaped(family.help)}\n# TYPE {name} {family.type}\n")
        pieces += _histograms(family) if family.type == "histogram" else _values(family)
    pieces.append("# EOF\n")
    # Not all at once, for which the interpreter would be taken for milliseconds.
    return b"".join([piece.encode() for piece in pieces])


def _values(family: pb.MetricFamily) -> Iterator[str]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    names = list(family.labels)
    for series in in_turns(family.series):
        labels = _labels(names, series)
        yield (
            f"{name}{{{labels}}} {_number(series.value)}\n"
            if labels
            else (f"{name} {_number(series.value)}\n")
        )


def _histograms(family: pb.MetricFamily) -> Iterator[str]:
    """A histogram's buckets become cumulative."""
    name, names = family.name, list(family.labels)
    ends = [f'le="{end}"}} ' for end in (*map(_number, family.bounds), "+Inf")]
    for series in in_turns(family.series):
        labels = _labels(names, series)
        begin = f"{name}_bucket{{{labels}," if labels else f"{name}_bucket{{"
        totals = list(accumulate(series.counts))
        lines = [f"{begin}{end}{total}.0" for end, total in zip(ends, totals, strict=True)]
        for told in series.exemplars:
            shown = f' # {{trace_id="{told.trace_id}"}} {_number(told.value)} {told.at}'
            lines[told.bucket] += shown
        whose = f"{{{labels}}}" if labels else ""
        lines.append(f"{name}_count{whose} {totals[-1]}.0")
        lines.append(f"{name}_sum{whose} {_number(series.value)}\n")
        yield "\n".join(lines)


def _labels(names: list[str], series: pb.MetricSeries) -> str:
    return ",".join(
        f'{name}="{_escaped(value)}"' for name, value in zip(names, series.labels, strict=True)
    )


def _escaped(text: str) -> str:
    if "\\" in text or "\n" in text or '"' in text:
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return text


def _number(value: float) -> str:
    if isfinite(value):
        return repr(value)
    return "NaN" if isnan(value) else "+Inf" if value > 0 else "-Inf"
