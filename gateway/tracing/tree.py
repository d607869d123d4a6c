"""The spans of a request that is over, from what it noted on its way: a pure function.

The same tree is exported, drawn in the console and looked at in Jaeger:

    the request                                            SERVER
    ├─ authenticate, read, decode, limits, fair, …         INTERNAL, of stages that took their time
    └─ penstock.v1.Backend/Exchange                        CLIENT, one an attempt
       └─ (penstock.v1.Backend/Exchange                    SERVER, the backend's own)
          ├─ queue
          └─ execute

Backends export their spans themselves where the trace is sampled. Where it isn't, what they tell
with every reply is enough for `queue` and `execute`: how long they took is exact, where they lie
within the attempt is estimated, and they say so.
"""

from collections.abc import Iterator, Sequence

from gateway.tracing.attributes import METHOD, SERVICE, of_attempt, of_request
from protos.span import Attributes, Event, Link, Span, SpanKind, WallClock
from protos.timeline import Attempt, Timeline, Wait
from protos.trace_context import TraceContext, begin, new_span_id, read

# Shorter stages aren't worth a span: what they wait for was there.
WORTH_A_SPAN = 0.001  # seconds
# What lies between two marks of the timeline. What `serve` is made of has spans of its own.
STAGES = {
    "auth": "authenticate",
    "read": "read",
    "decode": "decode",
    "fair": "fair",
    "encode": "encode",
}
EXCHANGE = f"{SERVICE}/{METHOD}"
ESTIMATED: Attributes = {"penstock.estimated": True}
# Kinds of failure that are nobody's fault: spans of these are not shown in red.
_UNSET = frozenset({"CANCELLED"})


def spans_of(
    timeline: Timeline,
    *,
    model: str,
    face: str,
    code: int,
    error: str,
    end: float,
    backends: bool,
    wall: WallClock,
) -> tuple[Span, ...]:
    """The spans of a request that ended at `end`, the server span first.

    `error` is the name of the failure's kind, empty without one, and `code` HTTP's. `backends` asks
    for the backends' part, too, from what they told.
    """
    context = read(timeline.traceparent or begin(timeline.parent, sampled=False))
    server = Span(
        context.trace_id,
        context.span_id,
        read(timeline.parent).span_id if timeline.parent else 0,
        timeline.operation or face,
        SpanKind.SERVER,
        wall.at(timeline.start),
        wall.at(end),
        of_request(timeline, model=model, face=face, code=code, error=error),
        _parts(timeline, wall),
        (),
        # What a client did wrong is no error of the server's span (semantic conventions for HTTP).
        error if code >= 500 and error not in _UNSET else "",
        bool(timeline.parent),
        timeline.tracestate,
    )
    return (
        server,
        *_stages(timeline, context, wall),
        *attempts_of(
            timeline.attempts, context, end, backends, wall, tracestate=timeline.tracestate
        ),
    )


def attempts_of(
    attempts: Sequence[Attempt],
    parent: TraceContext,
    end: float,
    backends: bool,
    wall: WallClock,
    *,
    tracestate: str = "",
) -> Iterator[Span]:
    """The client span of each attempt; `end` is that of one that is still under way."""
    before = ""
    for attempt in attempts:
        ended = attempt.ended or end
        span = Span(
            parent.trace_id,
            attempt.span_id or new_span_id(),
            parent.span_id,
            EXCHANGE,
            SpanKind.CLIENT,
            wall.at(attempt.began),
            wall.at(ended),
            of_attempt(attempt, before if attempt.number > 1 else ""),
            _of_stream(attempt, wall),
            (),
            "" if attempt.error in _UNSET else attempt.error,
            tracestate=tracestate,
        )
        yield span
        if backends and (attempt.answered or attempt.queue_us or attempt.compute_us):
            yield from _of_backend(attempt, span, ended, wall)
        before = "" if attempt.inner else attempt.error


def _stages(timeline: Timeline, parent: TraceContext, wall: WallClock) -> Iterator[Span]:
    before = timeline.start
    for mark, at in timeline.marks:
        if mark in STAGES and at - before >= WORTH_A_SPAN:
            yield _stage(Wait(STAGES[mark], before, at), parent, timeline.tracestate, wall)
        before = at
    for wait in timeline.waits:
        if wait.ended - wait.began >= WORTH_A_SPAN:
            yield _stage(wait, parent, timeline.tracestate, wall)


def _stage(wait: Wait, parent: TraceContext, tracestate: str, wall: WallClock) -> Span:
    links: tuple[Link, ...] = ()
    if wait.behind:
        behind = read(wait.behind)
        links = (Link(behind.trace_id, behind.span_id),)
    return Span(
        parent.trace_id,
        new_span_id(),
        parent.span_id,
        wait.stage,
        SpanKind.INTERNAL,
        wall.at(wait.began),
        wall.at(wait.ended),
        links=links,
        tracestate=tracestate,
    )


def _parts(timeline: Timeline, wall: WallClock) -> tuple[Event, ...]:
    """Of a streamed reply: when its first part came, when its last, and how many there were."""
    for attempt in reversed(timeline.attempts):
        if not attempt.inner and attempt.answered:
            return _of_stream(attempt, wall)
    return ()


def _of_stream(attempt: Attempt, wall: WallClock) -> tuple[Event, ...]:
    if attempt.parts < 2:
        return ()
    first = Event("first_part", wall.at(attempt.answered))
    if not attempt.ended:
        return (first,)
    return first, Event("last_part", wall.at(attempt.ended), {"penstock.parts": attempt.parts})


def _of_backend(attempt: Attempt, parent: Span, ended: float, wall: WallClock) -> Iterator[Span]:
    queue, compute = attempt.queue_us / 1e6, attempt.compute_us / 1e6
    # The way there is taken to be as long as the way back; a stream's last part may wait anywhere.
    ways = max(0.0, ended - attempt.began - queue - compute) if attempt.parts < 2 else 0.0
    arrived = attempt.began + ways / 2
    started = arrived + queue

    def span(name: str, start: float, end: float) -> Span:
        return Span(
            parent.trace_id,
            new_span_id(),
            parent.span_id,
            name,
            SpanKind.INTERNAL,
            wall.at(start),
            wall.at(end),
            ESTIMATED,
            tracestate=parent.tracestate,
        )

    yield span("queue", arrived, started)
    if attempt.answered or compute:  # else it failed in the queue
        yield span("execute", started, started + compute)
