"""One pass over the records of a mirror, in memory that doesn't grow with them."""

from heapq import heappush, heapreplace
from itertools import count
from math import inf, isfinite, isnan
from random import Random

from routing.evidence.counts import PairCounts
from routing.shadow.failures import ErrorCounts
from routing.shadow.figures import Latencies, MeasureCounts
from routing.shadow.record import PairRecord
from routing.shadow.reservoir import Reservoir
from routing.shadow.segments import Segments
from routing.shadow.tally import Tally
from routing.shadow.timeline import Timeline

SAMPLE = 50_000  # pairs whose times and scores are remembered
MEASURES = 32  # a comparison has a handful
MEASURE_SAMPLE = 10_000
WORST = 20

# What pairs that couldn't be compared are called in sentences.
DROPPED, FAILED, INCOMPARABLE = "were dropped", "failed", "were incomparable"


class Collector:
    """What a report on one candidate is made from. `add` takes a record; nothing here decides."""

    def __init__(self, since: float, until: float, rng: Random) -> None:
        self._rng = rng
        self.records = 0
        self.first = inf
        self.last = -inf
        self.version = ""
        self.counts = PairCounts()
        self.not_compared = {DROPPED: 0, FAILED: 0, INCOMPARABLE: 0}
        self.primary_failed = 0
        self.kinds = Tally(16)
        self.primaries = Tally(64)
        self.reasons_not_compared = Tally()
        self.reasons_differ = Tally()
        self.errors = ErrorCounts()
        self.timeline = Timeline(since, until)
        self.tenants = Segments("tenant")
        self.shapes = Segments("input shape")
        self.labels = Segments("label", of_compared=True)
        # Rows: total, without queueing, to the first part; each of primary and candidate.
        self.times: Reservoir[tuple[float, ...]] = Reservoir(SAMPLE, rng)
        self.total = Latencies()
        self.service = Latencies()
        self.first_part = Latencies()
        self.streamed = 0
        self.primary_bytes = 0
        self.candidate_bytes = 0
        self.sizes_differ = 0
        self.scores: Reservoir[tuple[float, float]] = Reservoir(SAMPLE, rng)
        self.measures: dict[str, MeasureCounts] = {}
        self.measures_left_out = 0
        self._worst: list[tuple[float, int, PairRecord]] = []
        self._order = count()

    def add(self, record: PairRecord) -> None:
        self.records += 1
        self.first = min(self.first, record.at)
        self.last = max(self.last, record.at)
        self.version = record.version or self.version
        self.kinds.add(record.kind)
        self.primaries.add(f"{record.arm} {record.primary_version}".strip())
        self.errors.add(record)
        if record.status == "primary_failed":
            self.primary_failed += 1
            return
        counted = self._counts(record)
        for counts in counted:
            counts.sampled += 1
        if record.status == "compared" and record.outcome.agrees is not None:
            self._compared(record, counted, record.outcome.agrees)
        else:
            self._not_compared(record)

    def worst(self) -> tuple[PairRecord, ...]:
        """The pairs that differ most, the worst first; of equal ones the earlier."""
        return tuple(record for _, _, record in sorted(self._worst, key=lambda w: (-w[0], -w[1])))

    def _counts(self, record: PairRecord) -> list[PairCounts]:
        counted = [self.counts, self.timeline.at(record.at), self.tenants.of(record.tenant)]
        if record.shape:
            counted.append(self.shapes.of(record.shape))
        if record.outcome.label:
            counted.append(self.labels.of(record.outcome.label))
        return counted

    def _not_compared(self, record: PairRecord) -> None:
        match record.status:
            case "dropped":
                self.not_compared[DROPPED] += 1
                why = record.outcome.reason
            case "candidate_failed":
                self.not_compared[FAILED] += 1
                why = record.candidate.error
            case _:
                self.not_compared[INCOMPARABLE] += 1
                why = record.outcome.reason
        self.reasons_not_compared.add(why or "no reason is known")

    def _compared(self, record: PairRecord, counted: list[PairCounts], agrees: bool) -> None:
        noise = record.noise.agrees if record.noise is not None else None
        for counts in counted:
            counts.add(not agrees, None if noise is None else not noise)
        self._times(record)
        self._measures(record)
        if not agrees:
            self.reasons_differ.add(record.outcome.reason or "values differ")
            self._rank(record)

    def _times(self, record: PairRecord) -> None:
        primary, candidate = record.primary, record.candidate
        self.primary_bytes += primary.bytes
        self.candidate_bytes += candidate.bytes
        self.sizes_differ += primary.bytes != candidate.bytes
        self.streamed += max(primary.parts, candidate.parts) > 1
        row = (
            primary.seconds,
            candidate.seconds,
            max(0.0, primary.seconds - primary.queue_seconds),
            max(0.0, candidate.seconds - candidate.queue_seconds),
            primary.first_seconds,
            candidate.first_seconds,
        )
        self.total.add(row[0], row[1])
        self.service.add(row[2], row[3])
        self.first_part.add(row[4], row[5])
        self.times.add(row)

    def _measures(self, record: PairRecord) -> None:
        measures = record.outcome.measures
        for name, value in measures.items():
            found = self.measures.get(name)
            if found is None:
                if len(self.measures) >= MEASURES:
                    self.measures_left_out += 1
                    continue
                sample: Reservoir[float] = Reservoir(MEASURE_SAMPLE, self._rng)
                found = self.measures[name] = MeasureCounts(sample)
            found.add(value)
        if "score_primary" in measures and "score_candidate" in measures:
            pair = (measures["score_primary"], measures["score_candidate"])
            if isfinite(pair[0]) and isfinite(pair[1]):
                self.scores.add(pair)

    def _rank(self, record: PairRecord) -> None:
        distance = record.outcome.distance
        # The negative order makes the later of two equal ones the smaller, which leaves first.
        ranked = (inf if isnan(distance) else distance, -next(self._order), record)
        if len(self._worst) < WORST:
            heappush(self._worst, ranked)
        elif ranked[:2] > self._worst[0][:2]:
            heapreplace(self._worst, ranked)
