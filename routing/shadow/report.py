"""A mirror's records as a report: the figures that decide whether a candidate may be promoted."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

import numpy as np

from routing.evidence.disagreement import above_noise
from routing.evidence.interval import Interval
from routing.evidence.proportion import wilson
from routing.shadow.collect import DROPPED, FAILED, INCOMPARABLE, Collector
from routing.shadow.failures import Errors
from routing.shadow.figures import Latency, Measure, Scores, Sizes, scores
from routing.shadow.record import PairRecord
from routing.shadow.segments import Dimension, dimensions
from routing.shadow.timeline import Moment
from routing.shadow.verdict import Criteria, Verdict, decide

REASONS = 8


@dataclass(frozen=True, slots=True)
class Samples:
    """Pairs by what became of them. `sampled` is all that should have been compared.

    `primary_failed` are beside it: there was nothing to compare with. `first` and `last` are when,
    in Unix seconds. `reasons` say why pairs weren't compared, and how often.
    """

    sampled: int
    compared: int
    dropped: int
    failed: int
    incomparable: int
    primary_failed: int
    with_noise: int
    coverage: float
    first: float
    last: float
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Shares of the compared pairs. `noise` is how often the primary differs from itself.

    `agreement` is 1 minus `above_noise`, at most 1. `noise` is None where it wasn't measured, and
    counts as none. `reasons` say what differed.
    """

    raw: Interval
    noise: Interval | None
    above_noise: Interval
    agreement: Interval
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One candidate that a mirror of a route sends to, over the records from `since` to `now`.

    `service_time` is the latency without waiting in the backend's queue, which is what is judged:
    copies have the lowest priority and wait longest. `first_part` is None unless replies were
    streamed, `scores` unless the comparison scores.
    """

    route: str
    mirror: str
    model: str
    version: str
    primaries: tuple[tuple[str, int], ...]
    kinds: tuple[tuple[str, int], ...]
    since: float
    now: float
    criteria: Criteria
    verdict: Verdict
    samples: Samples
    disagreement: Disagreement
    dimensions: tuple[Dimension, ...]
    errors: Errors
    latency: Latency | None
    service_time: Latency | None
    first_part: Latency | None
    sizes: Sizes
    scores: Scores | None
    measures: tuple[Measure, ...]
    measures_left_out: int
    timeline: tuple[Moment, ...]
    worst: tuple[PairRecord, ...]


def build_reports(
    records: Iterable[PairRecord],
    *,
    route: str,
    mirror: str | None = None,
    now: float,
    since: float,
    criteria: Criteria,
    rng: Random,
) -> tuple[Report, ...]:
    """A report for each candidate version of each mirror, or of one; by mirror, oldest first.

    A mirror that was pointed at another version is two candidates, and one that compares by another
    kind asks another question: their pairs don't mix, nor does the noise of one with the pairs of
    the other. A pair
    without a version counts with the version before it, or the first one. Reads the records once,
    in the order of their times, and remembers none but samples of them, drawn by `rng`.
    """
    found: dict[tuple[str, str, str, str], Collector] = {}
    latest: dict[tuple[str, str, str], Collector] = {}
    for record in records:
        if record.route != route or mirror not in (None, record.mirror):
            continue
        target = (record.mirror, record.model, record.kind)
        before = latest.get(target)
        if before is not None and not record.version:
            # No version was there to be sent to: a failure of the one that had just been there.
            collector = before
        else:
            key = (*target, record.version)
            if key not in found:
                # What came before any version is the first one's.
                unknown = before if before is not None and not before.version else None
                found[key] = unknown or Collector(since, now, rng)
            collector = found[key]
        latest[target] = collector
        collector.add(record)
    distinct = {id(each): (key, each) for key, each in found.items()}
    ordered = sorted(distinct.values(), key=lambda item: (item[0][0], item[1].first))
    return tuple(
        _report(each, route, key[0], key[1], now, since, criteria) for key, each in ordered
    )


def _report(
    found: Collector,
    route: str,
    mirror: str,
    model: str,
    now: float,
    since: float,
    criteria: Criteria,
) -> Report:
    level, counts = criteria.level, found.counts
    above = above_noise(counts, level)
    errors = found.errors.figures(level)
    by_kind = [kind for kind in (found.tenants, found.shapes, found.labels) if kind.counts]
    segments = dimensions(by_kind, criteria.max_above_noise, level, counts.coverage)
    quantiles = tuple(q for q, _ in criteria.max_latency_ratios)
    times = np.asarray(found.times.items, dtype=np.float64).reshape(-1, 6)
    service = found.service.figures(times[:, 2:4], quantiles, level)
    compared = max(1, counts.compared)
    return Report(
        route=route,
        mirror=mirror,
        model=model,
        version=found.version,
        primaries=found.primaries.most(REASONS),
        kinds=found.kinds.most(REASONS),
        since=since,
        now=now,
        criteria=criteria,
        verdict=decide(
            criteria,
            counts,
            above,
            errors,
            service.ratios if service is not None else (),
            segments,
            tuple(found.not_compared.items()),
        ),
        samples=_samples(found),
        disagreement=Disagreement(
            wilson(counts.candidate_differs, counts.compared, level),
            wilson(counts.noise_differs, counts.with_noise, level) if counts.with_noise else None,
            above,
            _rest(above),
            found.reasons_differ.most(REASONS),
        ),
        dimensions=segments,
        errors=errors,
        latency=found.total.figures(times[:, 0:2], quantiles, level),
        service_time=service,
        first_part=(
            found.first_part.figures(times[:, 4:6], quantiles, level) if found.streamed else None
        ),
        sizes=Sizes(
            found.primary_bytes / compared, found.candidate_bytes / compared, found.sizes_differ
        ),
        scores=scores(found.scores.items, level),
        measures=tuple(each.figures(name) for name, each in sorted(found.measures.items())),
        measures_left_out=found.measures_left_out,
        timeline=tuple(found.timeline.moments(level)),
        worst=found.worst(),
    )


def _rest(share: Interval) -> Interval:
    low, middle, high = (min(1.0, 1 - x) for x in (share.high, share.estimate, share.low))
    return Interval(middle, low, high, share.level)


def _samples(found: Collector) -> Samples:
    counts = found.counts
    return Samples(
        counts.sampled,
        counts.compared,
        found.not_compared[DROPPED],
        found.not_compared[FAILED],
        found.not_compared[INCOMPARABLE],
        found.primary_failed,
        counts.with_noise,
        counts.coverage,
        found.first,
        found.last,
        found.reasons_not_compared.most(REASONS),
    )
