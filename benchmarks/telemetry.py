"""What metrics, an unsampled trace and the log cost a request: processor time, in microseconds.

What the gateway does when a request is over, beyond what the request notes anyway. *By
prometheus-client* is what counting was before: two histograms and two counters of that library,
whose children were kept. *Every request's stages* is what it would be without drawing one in
sixteen. All cases take turns within a round, and the first is there twice (A/A); costs are what a
case takes more than the first.

    python -m benchmarks telemetry [--quick]
"""

import random
import time
from collections.abc import Callable
from statistics import median

from prometheus_client import CollectorRegistry, Counter, Histogram

from benchmarks import turns
from benchmarks.report import Report, Table
from gateway.telemetry.request_log import RequestLog
from gateway.telemetry.requests import DURATION, OVERHEAD, RequestMetrics
from gateway.tracing.settings import TelemetrySettings
from gateway.tracing.tracer import Tracer
from protos.log_writer import LogWriter
from protos.otlp import Collector
from protos.timeline import Target, Timeline

ROUNDS = 31
REQUESTS = 2000
# As a REST request has them that met every stage.
MARKS = [("auth", 100.0001), ("read", 100.003), ("decode", 100.0031), ("encode", 100.009)]
TARGET = Target("stable", "fraud", "3")
Work = Callable[[Timeline], None]


def _timeline() -> Timeline:
    timeline = Timeline(100.0)
    timeline.marks += MARKS
    timeline.route, timeline.arm, timeline.target = "fraud", "stable", TARGET
    timeline.queue_us, timeline.compute_us, timeline.batch_rows = 500, 4000, 8
    return timeline


def _nothing(timeline: Timeline) -> None:
    return None


def _metrics(chance: Callable[[], float]) -> Work:
    metrics = RequestMetrics(chance)
    return lambda timeline: metrics.observe("fraud", "fraud", "http", 200, timeline, 100.01)


def _library() -> Work:
    registry = CollectorRegistry()
    requests = Counter("requests", "-", ("model", "face", "code"), registry=registry)
    arms = Counter("arms", "-", ("route", "arm", "code"), registry=registry)
    duration = Histogram("duration", "-", ("m", "f"), buckets=DURATION, registry=registry)
    overhead = Histogram("overhead", "-", ("m", "f"), buckets=OVERHEAD, registry=registry)
    of_requests = {("fraud", "http", 200): requests.labels("fraud", "http", "200")}
    of_arms = {("fraud", "stable", 200): arms.labels("fraud", "stable", "200")}
    both = {("fraud", "http"): (duration.labels("m", "f"), overhead.labels("m", "f"))}

    def work(timeline: Timeline) -> None:
        of_requests["fraud", "http", 200].inc()
        seconds = 100.01 - timeline.start
        histograms = both["fraud", "http"]
        histograms[0].observe(seconds)
        histograms[1].observe(seconds - (timeline.queue_us + timeline.compute_us) / 1e6)
        of_arms["fraud", "stable", 200].inc()

    return work


class _Forgotten:
    def put(self, spans: object) -> None:
        return None


def _trace() -> Work:
    settings = TelemetrySettings(collector=Collector(endpoint="http://127.0.0.1:1"))
    tracer = Tracer(settings, _Forgotten(), lambda: 1.0, servers={})

    def work(timeline: Timeline) -> None:
        tracer.begin(timeline)
        tracer.over(timeline, model="fraud", face="http", code=200, error="", now=100.01)

    return work


def _log(share: float) -> Work:
    log = RequestLog(
        LogWriter(lambda line: None),
        "json",
        sample=share,
        slow=1.0,
        tenants=(),
        chance=random.random,
        wall=time.time,
    )
    return lambda timeline: log("fraud", "http", 200, "", timeline, 100.01)


def _both(*each: Work) -> Work:
    def work(timeline: Timeline) -> None:
        for one in each:
            one(timeline)

    return work


def run(*, quick: bool = False) -> None:
    """Measures, prints and saves the table."""
    cases = {
        "nothing": _nothing,
        "nothing again (A/A)": _nothing,
        "metrics": _metrics(random.random),
        "metrics, every request's stages": _metrics(lambda: 0.0),
        "metrics by prometheus-client, without stages": _library(),
        "an unsampled trace": _trace(),
        "the log, 1 % of requests": _log(0.01),
        "metrics and an unsampled trace": _both(_metrics(random.random), _trace()),
    }
    taken: dict[str, list[float]] = {case: [] for case in cases}
    for _ in range(5 if quick else ROUNDS):
        for case, work in cases.items():
            timelines = [_timeline() for _ in range(REQUESTS)]
            started = time.thread_time()
            for timeline in timelines:
                work(timeline)
            taken[case].append((time.thread_time() - started) / REQUESTS)
    base = taken["nothing"]
    rows = [
        (case, median((cost - was) * 1e6 for cost, was in zip(costs, base, strict=True)))
        for case, costs in taken.items()
    ]
    report = Report("Telemetry", turns.preface(__doc__))
    report.add(Table("µs of processor time a request", ("case", "cost"), rows))
    report.save("telemetry", taken)


if __name__ == "__main__":
    run()
