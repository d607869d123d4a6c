"""The span of a batch that holds sampled calls: rows, padding, device, and every call in it."""

from dataclasses import replace

from backends.batching.execution import Executed
from backends.tracing import Tracing
from protos.errors import PenstockError
from protos.span import Event, Link, Value
from protos.trace_context import TraceContext, is_sampled, new_span_id, read

MOST_LINKS = 128  # OpenTelemetry's default bound of a span


def trace_batch(tracing: Tracing, executed: Executed, error: PenstockError | None) -> None:
    """Nothing for a batch without sampled calls; otherwise its span, below the first of them.

    Called before the calls are answered, on whichever thread has executed the batch.
    """
    batch = executed.prepared.batch
    traceparents = [piece.job.traceparent for piece in batch.pieces]
    if not any(map(is_sampled, traceparents)):
        return
    calls = [read(each) for each in traceparents if each]
    sampled = [each for each in calls if each.sampled]
    first = sampled[0]
    span_id = new_span_id()
    tracing.hold(TraceContext(first.trace_id, span_id, True), sampled)
    model, version = batch.key
    failed = "" if error is None else error.kind.name
    attributes: dict[str, Value] = {
        "penstock.model": model,
        "penstock.version": version,
        "penstock.device": tracing.device,
        "penstock.batch.rows": batch.rows,
        "penstock.batch.padded_rows": batch.padded_rows,
        "penstock.batch.requests": len(traceparents),
        "penstock.batch.reason": batch.reason.value,
    }
    if failed:
        attributes["error.type"] = failed
    span = tracing.span("batch", first, executed.began, executed.finished)
    tracing.put(
        [
            replace(
                span,
                span_id=span_id,
                attributes=attributes,
                events=(Event("execute", tracing.wall.at(executed.started)),),
                links=tuple(Link(each.trace_id, each.span_id) for each in calls[:MOST_LINKS]),
                error=failed,
            )
        ]
    )
