"""Traces as they should look, made of what requests note."""

from collections.abc import Sequence

from gateway.tracing.tree import attempts_of, spans_of
from protos.span import Link, Span, SpanKind, wall_clock
from protos.timeline import Attempt, Target, Timeline
from protos.trace_context import TraceContext, begin, new_span_id, read

STABLE, CANARY = Target("stable", "fraud", "3"), Target("canary", "fraud", "4")


def golden(now: float) -> dict[str, Sequence[Span]]:
    """By what they show; they end at `now`, of the monotonic clock."""
    plain = _timeline(now, Attempt("one", STABLE, 1, now - 0.019, span_id=new_span_id()))
    streamed = _timeline(now, Attempt("llm", STABLE, 1, now - 0.019, span_id=new_span_id()))
    streamed.operation = "POST /v1/chat/completions"
    streamed.attempts[0].parts = 24
    retried = _timeline(
        now,
        Attempt("one", STABLE, 1, now - 0.019, ended=now - 0.015, error="LOST"),
        Attempt("two", STABLE, 2, now - 0.014, span_id=new_span_id(), suspect=True),
    )
    mirrored = _timeline(now, Attempt("one", STABLE, 1, now - 0.019, span_id=new_span_id()))
    copy = Attempt("two", CANARY, 1, now - 0.018, shadow=True, answered=now, ended=now)
    return {
        "plain": _spans(plain, now),
        "streamed": _spans(streamed, now),
        "retried": _spans(retried, now),
        "mirrored": [
            *_spans(mirrored, now),
            *attempts_of([copy], read(mirrored.traceparent), now, False, wall_clock()),
        ],
        "batched": _batched(plain, now),
    }


def _timeline(now: float, *attempts: Attempt) -> Timeline:
    timeline = Timeline(now - 0.02, attempts=list(attempts))
    timeline.operation = "POST /v2/models/{model}/infer"
    timeline.traceparent = begin("", sampled=True)
    timeline.route, timeline.arm, timeline.target = "fraud", "stable", STABLE
    last = attempts[-1]
    last.answered, last.ended, last.parts = now - 0.003, now - 0.001, 1
    last.queue_us, last.compute_us, last.batch_rows, last.padded_rows = 2000, 9000, 3, 4
    return timeline


def _spans(timeline: Timeline, now: float) -> Sequence[Span]:
    face = "openai" if "/v1/" in timeline.operation else "http"
    return spans_of(
        timeline,
        model="fraud",
        face=face,
        code=200,
        error="",
        end=now,
        backends=True,
        wall=wall_clock(),
    )


def _batched(other: Timeline, now: float) -> Sequence[Span]:
    """A trace with a batch that holds a call of the other trace, too."""
    timeline = _timeline(now, Attempt("one", STABLE, 1, now - 0.019, span_id=new_span_id()))
    spans = _spans(timeline, now)
    (execute,) = [span for span in spans if span.name == "execute"]
    theirs: TraceContext = read(other.traceparent)
    batch = Span(
        execute.trace_id,
        new_span_id(),
        execute.parent_id,
        "batch",
        SpanKind.INTERNAL,
        execute.start,
        execute.end,
        {"penstock.batch.rows": 3, "penstock.batch.padded_rows": 4, "penstock.device": "cuda:0"},
        links=(Link(execute.trace_id, execute.parent_id), Link(theirs.trace_id, theirs.span_id)),
    )
    return [*spans, batch]
