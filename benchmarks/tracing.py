"""What traces cost: processor time, in microseconds.

*On the way* is what the event loop does for a request: ids, an attempt, and in the end the spans if
it is traced. *In the thread* is what the exporter does for the spans of a request before they are
on the wire: OTLP and gzip. *In a backend* is what a call costs there. The
first case is what a request had to note before there were traces, and is there twice (A/A); of the
others' costs its own is taken off. All cases take turns within a round.

    python -m benchmarks tracing [--quick]
"""

import gzip
import time
from collections.abc import Callable, Sequence
from statistics import median

from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from backends.tracing import Tracing
from benchmarks import turns
from benchmarks.report import Report, Table
from gateway.tracing.settings import TelemetrySettings
from gateway.tracing.tracer import Tracer
from protos import exchange_parts
from protos.exchange_calls import Call
from protos.otlp import Collector
from protos.otlp_wire import encode
from protos.span import Span
from protos.timeline import Attempt, Target, Timeline
from protos.trace_context import accepted, is_sampled, new_span_id

ROUNDS = 31
REQUESTS = 2000
CLIENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"
TARGET = Target("stable", "fraud", "3")


class Kept:
    """Takes spans, and forgets them."""

    def __init__(self) -> None:
        self.last: Sequence[Span] = ()

    def put(self, spans: Sequence[Span]) -> None:
        self.last = spans


def _without() -> None:
    timeline = Timeline(100.0)
    timeline.traceparent = ""
    timeline.instances.append("one")


def _request(
    tracer: Tracer, *, client: str = "", end: float = 100.02, parts: int = 1
) -> Callable[[], None]:
    def work() -> None:
        timeline = Timeline(100.0)
        timeline.operation = "POST /v2/models/{model}/infer"
        if client:
            timeline.parent = accepted(client)
        traceparent = tracer.begin(timeline)
        timeline.instances.append("one")
        attempt = Attempt(
            "one",
            TARGET,
            len(timeline.instances),
            100.001,
            new_span_id() if is_sampled(traceparent) else 0,
            False,
            False,
            False,
        )
        timeline.attempts.append(attempt)
        attempt.answered = timeline.answered = 100.01
        for _ in range(parts):
            attempt.learn(500, 4000, 8, 8)
        attempt.ended = 100.01
        if traceparent[-1] == "1":
            # What other parts of the gateway note for their own sake.
            timeline.route, timeline.arm, timeline.target = "fraud", "stable", TARGET
            timeline.request_id = "5b0c6e1f5b0c6e1f"
            timeline.marks += [("auth", 100.0001), ("read", 100.003), ("decode", 100.0031)]
        tracer.over(timeline, model="fraud", face="http", code=200, error="", now=end)

    return work


def _call(traceparent: str) -> Call:
    return Call(1, "fraud", "3", "", {}, {}, (), {}, "t", traceparent, 0, False, False, False, 0)


def _backend(tracing: Tracing, traceparent: str) -> Callable[[], None]:
    call, part = _call(traceparent), exchange_parts.encode_part(1, (), "3", batch_rows=8)

    def work() -> None:
        traced = tracing.begin(call, 100.0)
        if traced is not None:
            traced.part(part, True, 100.01)

    return work


def _thread(spans: Sequence[Span]) -> Callable[[], None]:
    resource = Resource(attributes=[])
    batch = 512 // len(spans)  # traces in a batch
    spans = list(spans) * batch
    rest = [0]

    def work() -> None:
        # One of `batch` requests pays for all of them.
        if not rest[0]:
            gzip.compress(encode(resource, spans).SerializeToString(), 6)
            rest[0] = batch
        rest[0] -= 1

    return work


def run(*, quick: bool = False) -> None:
    """Measures, prints and saves the table."""
    kept = Kept()
    settings = TelemetrySettings(
        collector=Collector(endpoint="http://127.0.0.1:1"), retrospective="1M/s"
    )
    tracer = Tracer(settings, kept, lambda: 1.0, servers={})
    sampled = Tracer(settings, kept, lambda: 0.0, servers={})
    tracing = Tracing(kept, "cpu")
    _request(sampled)()
    spans = list(kept.last)
    cases = {
        "no traces": _without,
        "no traces again (A/A)": _without,
        "on the way, not sampled": _request(tracer),
        "on the way, not sampled by the client": _request(tracer, client=CLIENT + "0"),
        f"on the way, sampled ({len(spans)} spans)": _request(sampled),
        "on the way, sampled, streamed in 100 parts": _request(sampled, parts=100),
        "on the way, in retrospect, with the backend's part": _request(tracer, end=102.0),
        f"in the thread ({len(spans)} spans)": _thread(spans),
        "in a backend, not sampled": _backend(tracing, CLIENT + "0"),
        "in a backend, sampled (3 spans)": _backend(tracing, CLIENT + "1"),
    }
    taken: dict[str, list[float]] = {case: [] for case in cases}
    for _ in range(5 if quick else ROUNDS):
        for case, work in cases.items():
            started = time.thread_time()
            for _ in range(REQUESTS):
                work()
            taken[case].append((time.thread_time() - started) / REQUESTS * 1e6)
    base = taken["no traces"]
    rows = []
    for case, costs in taken.items():
        alone = case.startswith(("no traces", "in "))
        less = costs if alone else [cost - was for cost, was in zip(costs, base, strict=True)]
        rows.append((case, median(less)))
    report = Report("Traces", turns.preface(__doc__))
    report.add(Table("µs of processor time a request", ("case", "cost"), rows))
    report.save("tracing", taken)


if __name__ == "__main__":
    run()
