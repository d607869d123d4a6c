"""Counters at a moment, from what all workers have reported, and what happened between two."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf, nan
from typing import NamedTuple

from gateway.telemetry.turns import in_turns
from protos import discovery_pb2 as pb

MOST_SERIES = 200  # the busiest; the others count in the total only
REQUESTS = "penstock_requests"
DURATION = "penstock_request_duration_seconds"
_LEFT = "499"  # the code of requests whose client had left, which nobody refused
# What the pages show besides traffic: sums since the gateway started.
TABLES = ("penstock_cache_requests", "penstock_limited", "penstock_mirrored")
# What shouldn't happen: an alarm if it has within the last minute.
TROUBLES = (
    "penstock_panic_picks",
    "penstock_ejections",
    "penstock_lease_losses",
    "penstock_lease_evictions",
    "penstock_audit_records_dropped",
    "penstock_arm_counts_dropped",
    "penstock_shadow_records_dropped",
)
READ = frozenset({REQUESTS, DURATION, *TABLES, *TROUBLES})

# Values by those of the labels, in the order of the labels' names.
Table = dict[tuple[str, ...], float]


class Key(NamedTuple):
    """Whose traffic; the first two are empty for what met no route or arm."""

    route: str
    arm: str
    model: str


@dataclass(slots=True)
class Count:
    """What a counter has reached. `buckets` are cumulative counts by upper bound in seconds."""

    requests: float = 0.0
    failures: float = 0.0  # answered with 5xx
    refusals: float = 0.0  # answered with 4xx, but for those whose client had left
    buckets: dict[float, float] = field(default_factory=dict)

    def add(self, other: "Count") -> None:
        self.requests += other.requests
        self.failures += other.failures
        self.refusals += other.refusals
        for bound, count in other.buckets.items():
            self.buckets[bound] = self.buckets.get(bound, 0.0) + count


NOTHING = Count()


class Rates(NamedTuple):
    """Requests a second, shares of them, and quantiles in seconds (NaN where nothing came)."""

    requests: float
    failures: float
    refusals: float
    p50: float
    p99: float


IDLE = Rates(0.0, 0.0, 0.0, nan, nan)


@dataclass(frozen=True, slots=True)
class Sample:
    """All counts at a monotonic time in seconds. Large, so that only a minute of them is kept."""

    at: float
    total: Count
    series: Mapping[Key, Count]
    troubles: Mapping[str, float]


def counts(families: Iterable[pb.MetricFamily]) -> dict[Key, Count]:
    """What workers' families say of requests, added up."""
    found: dict[Key, Count] = {}
    for family in families:
        if family.name not in (REQUESTS, DURATION):
            continue
        names, bounds = list(family.labels), [*family.bounds, inf]
        for series in in_turns(family.series):
            labels = dict(zip(names, series.labels, strict=True))
            key = Key(labels["route"], labels["arm"], labels["model"])
            count = found.setdefault(key, Count())
            if family.name == DURATION:
                buckets = count.buckets
                for bound, reached in zip(bounds, accumulate(series.counts), strict=True):
                    buckets[bound] = buckets.get(bound, 0.0) + reached
            else:
                count.requests += series.value
                code = labels["code"]
                count.failures += series.value if code[:1] == "5" else 0.0
                count.refusals += series.value if code[:1] == "4" and code != _LEFT else 0.0
    return found


def read(families: Sequence[pb.MetricFamily], at: float) -> tuple[Sample, dict[str, Table]]:
    """What families of any number of workers say at `at`, and the sums of `TABLES`.

    Takes its time where there are many routes, so it is to be called in a thread.
    """
    series = counts(families)
    total = Count()
    for each in series.values():
        total.add(each)
    if len(series) > MOST_SERIES:
        busiest = sorted(series, key=lambda key: -series[key].requests)[:MOST_SERIES]
        series = {key: series[key] for key in busiest}
    tables: dict[str, Table] = {}
    troubles: dict[str, float] = {}
    for family in families:
        if family.name in TABLES:
            _add(tables.setdefault(family.name, {}), family)
        elif family.name in TROUBLES:
            grown = sum(each.value for each in family.series)
            troubles[family.name] = troubles.get(family.name, 0.0) + grown
    return Sample(at, total, series, troubles), tables


def _add(table: Table, family: pb.MetricFamily) -> None:
    names = list(family.labels)
    for series in family.series:
        labels = tuple(value for _, value in sorted(zip(names, series.labels, strict=True)))
        table[labels] = table.get(labels, 0.0) + series.value


def between(first: Sample, last: Sample, key: Key | None) -> Rates:
    """What happened between two samples."""
    seconds = last.at - first.at
    before = first.total if key is None else first.series.get(key, NOTHING)
    after = last.total if key is None else last.series.get(key, NOTHING)
    requests = after.requests - before.requests
    if requests <= 0:
        return IDLE
    bounds = sorted(after.buckets)
    grown = [after.buckets[each] - before.buckets.get(each, 0.0) for each in bounds]
    return Rates(
        requests / seconds,
        (after.failures - before.failures) / requests,
        (after.refusals - before.refusals) / requests,
        quantile(0.5, bounds, grown),
        quantile(0.99, bounds, grown),
    )


def quantile(share: float, bounds: Sequence[float], cumulative: Sequence[float]) -> float:
    """As PromQL's `histogram_quantile` has it: linear within a bucket; NaN without observations."""
    if not cumulative or cumulative[-1] <= 0:
        return nan
    rank = share * cumulative[-1]
    index = min(bisect_left(cumulative, rank), len(bounds) - 1)
    if bounds[index] == inf:
        return bounds[index - 1] if index else nan
    low = bounds[index - 1] if index else 0.0
    below = cumulative[index - 1] if index else 0.0
    inside = cumulative[index] - below
    if inside <= 0:
        return bounds[index]
    return low + (bounds[index] - low) * (rank - below) / inside
