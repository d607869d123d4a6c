"""Rate, errors and duration of requests, by route, arm, model and code.

Counted with plain integers, as this is on the way of every request: no locks, one look-up. Labels
are bounded by what documents and backends name; should those change for so long that there are too
many, what comes newly is counted as "other".
"""

import time
from collections.abc import Callable

from gateway.telemetry.families import family, histogram_family
from gateway.telemetry.turns import in_turns
from protos import discovery_pb2 as pb
from protos.histogram import Exemplar, Histogram
from protos.timeline import Timeline

REUSED = ("hit", "coalesced")  # a kept answer, and another request's
OTHER = "other"
MOST = 5000  # of route, arm, model, face, code and fault: a scrape of them takes 0.1 s
# One request in so many, drawn at random, tells its stages: a quarter of a microsecond each would
# cost more than all other counting.
STAGES_OF = 16

DURATION = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)
OVERHEAD = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0),
)
STAGE = (0.00001, 0.000025, 0.00005, *OVERHEAD, 10.0, 30.0)

Key = tuple[str, str, str, str, int, str]  # route, arm, model, face, code, fault


class _Series:
    """What is counted of the requests of one key; histograms are shared with other keys."""

    __slots__ = ("duration", "overhead", "requests")

    def __init__(self, duration: Histogram, overhead: Histogram) -> None:
        self.requests = 0
        self.duration = duration
        self.overhead = overhead


class RequestMetrics:
    """`chance` gives random numbers from 0 to 1."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._series: dict[Key, _Series] = {}
        self._durations: dict[tuple[str, ...], Histogram] = {}
        self._overheads: dict[tuple[str, ...], Histogram] = {}
        self._stages: dict[tuple[str, ...], Histogram] = {}

    def observe(
        self, route: str, model: str, face: str, code: int, timeline: Timeline, now: float
    ) -> None:
        """Counts a request that was answered by `now`; `route` and `model` must be bounded.

        A kept answer, and another request's, say nothing of an arm.
        """
        arm = "" if timeline.cache in REUSED else timeline.arm
        fault = "" if code < 400 else "client" if code < 500 or timeline.by_client else "server"
        key = (route, arm, model, face, code, fault)
        series = self._series.get(key) or self._make(key)
        series.requests += 1
        seconds = now - timeline.start
        bucket = series.duration.observe(seconds)
        trace_id = timeline.sampled_trace
        if trace_id:
            series.duration.exemplars[bucket] = Exemplar(trace_id, seconds, time.time())
        if timeline.batch_rows and not timeline.streaming:
            # Neither the backend's nor a slow client's; a stream's would be its reader's time, too.
            overhead = seconds - (timeline.queue_us + timeline.compute_us) / 1e6
            before = timeline.start
            for stage, at in timeline.marks:
                if stage == "read":
                    overhead -= at - before
                    break
                before = at
            if overhead < 0.0:
                overhead = 0.0
            bucket = series.overhead.observe(overhead)
            if trace_id:
                series.overhead.exemplars[bucket] = Exemplar(trace_id, overhead, time.time())
        if self._chance() * STAGES_OF < 1.0:
            self._observe_stages(timeline)

    def families(self) -> list[pb.MetricFamily]:
        """As of now; to be made in a thread, as it takes its time where there are many series."""
        requests: dict[tuple[str, ...], float] = {
            (*key[:4], str(key[4]), key[5]): series.requests
            for key, series in list(self._series.items())
        }
        return [
            family(
                "counter",
                "penstock_requests",
                "Requests answered; the arm is empty where none was asked.",
                ("route", "arm", "model", "face", "code", "fault"),
                requests,
                turns=in_turns,
            ),
            histogram_family(
                "penstock_request_duration_seconds",
                "From the request's head to the last byte of the reply.",
                ("route", "arm", "model", "code"),
                self._durations,
                turns=in_turns,
            ),
            histogram_family(
                "penstock_overhead_seconds",
                "Duration less reading the body, and the backend's queue and compute time.",
                ("route", "model"),
                self._overheads,
                turns=in_turns,
            ),
            histogram_family(
                "penstock_stage_duration_seconds",
                f"Stages of one request in {STAGES_OF}, drawn at random.",
                ("stage",),
                self._stages,
            ),
        ]

    def _observe_stages(self, timeline: Timeline) -> None:
        before = timeline.start
        for stage, at in timeline.marks:
            self._stage(stage, at - before)
            before = at
        if timeline.batch_rows:
            self._stage("queue", timeline.queue_us / 1e6)
            self._stage("compute", timeline.executed_us / 1e6)

    def _stage(self, name: str, seconds: float) -> None:
        histogram = self._stages.get((name,))
        if histogram is None:
            histogram = self._stages[name,] = Histogram(STAGE)
        histogram.observe(seconds)

    def _make(self, key: Key) -> _Series:
        if len(self._series) >= MOST:
            key = (OTHER, "", OTHER, *key[3:])
            if key in self._series:
                return self._series[key]
        route, arm, model, _, code, _ = key
        duration = self._durations.setdefault((route, arm, model, str(code)), Histogram(DURATION))
        overhead = self._overheads.setdefault((route, model), Histogram(OVERHEAD))
        series = self._series[key] = _Series(duration, overhead)
        return series
