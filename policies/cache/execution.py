"""A request on its way to be executed for all who ask the same."""

from protos.values import Context, InferRequest


def detached(request: InferRequest) -> InferRequest:
    """The request with a timeline of its own; written out because `replace` costs twice as much."""
    c = request.context
    context = Context(
        c.principal,
        c.deadline,
        c.timeline.fork(),
        c.target,
        c.traceparent,
        c.priority,
        c.shadow,
        c.streaming,
        c.suspect,
        c.route,
        c.headers,
        c.first_deadline,
        c.inner,
    )
    return InferRequest(
        request.id,
        request.model,
        request.version,
        request.payload,
        request.parameters,
        context,
    )
