"""A slow or failed request as `GET /admin/requests/recent` tells it, with its trace's spans."""

from typing import Any

from gateway.recent import Ended, Row
from gateway.tracing.tree import spans_of
from protos.span import Span, wall_clock


def row_of(ended: Ended) -> Row:
    """Times are Unix seconds, those within spans microseconds since the request began.

    The spans are those of the trace, whether or not it was exported; the backend's are made from
    what it told with its reply.
    """
    timeline = ended.timeline
    wall = wall_clock()
    spans = spans_of(
        timeline,
        model=ended.model,
        face=ended.face,
        code=ended.code,
        error=ended.error,
        end=ended.end,
        backends=True,
        wall=wall,
    )
    target, principal = timeline.target, timeline.principal
    return {
        "request_id": timeline.told_id,
        "trace_id": f"{spans[0].trace_id:032x}",
        "at": wall.at(timeline.start) / 1e9,
        "seconds": ended.end - timeline.start,
        "model": ended.model,
        "face": ended.face,
        "code": ended.code,
        "by_client": timeline.by_client,
        "error": ended.error,
        "refused_by": timeline.refused,
        "tenant": "" if principal is None else principal.tenant,
        "route": timeline.route,
        "arm": timeline.arm,
        "version": "" if target is None else target.version,
        "attempts": len(timeline.instances),
        "instances": list(dict.fromkeys(timeline.instances)),
        "cache": timeline.cache,
        "queue_seconds": timeline.queue_us / 1e6,
        "compute_seconds": timeline.executed_us / 1e6,
        "batch_rows": timeline.batch_rows,
        "spans": [_span(each, spans[0].start) for each in spans],
    }


def _span(span: Span, begin: int) -> dict[str, Any]:
    return {
        "id": f"{span.span_id:016x}",
        "parent": f"{span.parent_id:016x}",
        "name": span.name,
        "kind": span.kind.name,
        "start_us": (span.start - begin) / 1e3,
        "duration_us": (span.end - span.start) / 1e3,
        "error": span.error,
        "attributes": dict(span.attributes),
        "events": [{"name": each.name, "at_us": (each.at - begin) / 1e3} for each in span.events],
    }
