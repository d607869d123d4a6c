"""What a principal may do, from the scopes of its token."""

from collections.abc import Awaitable

from protos.errors import Kind, PenstockError, invalid, unknown_model
from protos.principal import Principal
from protos.service import Reply, Service
from protos.values import InferRequest

ADMIN = "admin"
JOIN = "backend:join"
METRICS = "metrics"
INFER = "infer:"


class Authorize:
    """Lets a request through to the models that its scopes name.

    The others answer as if they didn't exist, so that nobody learns names by guessing.
    """

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        # Not a coroutine: what the service returns is awaited by the caller, one frame less.
        context = request.context
        if not context.principal.may_infer(request.model):
            context.timeline.refused = "authorise"
            raise unknown_model(request.model)
        return service(request)


def require_scope(principal: Principal, scope: str) -> None:
    """Raises FORBIDDEN unless the principal's token carries the scope."""
    if not principal.has(scope):
        raise PenstockError(Kind.FORBIDDEN, f"the token lacks the scope {scope}")


def require_join(principal: Principal) -> None:
    """Raises FORBIDDEN unless the principal may join the mesh as a backend, of whatever models."""
    if not any(scope == JOIN or scope.startswith(f"{JOIN}:") for scope in principal.scopes):
        raise PenstockError(Kind.FORBIDDEN, f"the token lacks the scope {JOIN}")


def check_scope(scope: str) -> None:
    """Raises INVALID for a scope that would allow nothing, so that nobody grants it in vain."""
    if scope in (ADMIN, JOIN, METRICS):
        return
    pattern = scope.removeprefix(INFER).removeprefix(f"{JOIN}:")
    if pattern == scope or not pattern or not pattern.isprintable() or " " in pattern:
        known = f"{ADMIN}, {METRICS}, {JOIN}, {JOIN}:<model pattern> and {INFER}<model pattern>"
        raise invalid(f'scope: "{scope}" is none of {known}')
    if pattern.count("*") > 1:
        raise invalid(f'scope: "{scope}" has more than one *')
