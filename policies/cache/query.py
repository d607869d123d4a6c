"""A request that may have a kept answer, and the name under which that is kept."""

from typing import NamedTuple

from policies.cache.directives import Directives
from protos.route.policies import Cache
from protos.route.snapshot import RouteSnapshot
from protos.timeline import Target
from protos.values import InferRequest


class Query(NamedTuple):
    """`rule` is the route's, `revision` that of the target's model, `asked` what the client says of
    the cache.
    """

    request: InferRequest
    route: RouteSnapshot
    rule: Cache
    target: Target
    revision: str
    key: bytes
    asked: Directives
