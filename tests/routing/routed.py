"""Requests that came by a route, as the filters below the split see them."""

from math import inf

from protos.principal import Principal
from protos.route.document import Spec
from protos.route.snapshot import Arm, RouteSnapshot
from protos.service import Reply
from protos.timeline import Target, Timeline
from protos.values import Context, InferRequest, Part, Tensor, Tensors

OK = Reply(Part(Tensors(()), "1", {}, True))


def route(name="fraud", *, implicit=False, **blocks):
    """A route to one arm; `blocks` are parts of its spec as a document has them."""
    spec = Spec.model_validate(
        {"match": ({"model": "m"},), "backends": ({"name": "stable", "model": "m"},), **blocks}
    )
    return RouteSnapshot(name, "r1", spec, (Arm("stable", "m", "1", 1.0),), implicit=implicit)


def routed(by=None, *, arm="stable", deadline=inf, tried=(), data=b"\0\0\0\0", id="", **context):
    """A request for version 1 of m that `by` sent to `arm`."""
    timeline = Timeline(0.0, instances=list(tried))
    surrounding = Context(
        Principal("s", "t", frozenset()),
        deadline,
        timeline,
        Target(arm, "m", "1"),
        route=by,
        **context,
    )
    return InferRequest(id, "m", "1", Tensors((Tensor("x", "FP32", (1,), data),)), {}, surrounding)
