"""The public HTTP application: inference on raw ASGI, everything else in Starlette.

Starlette's router costs 18 µs over sixteen routes (benchmarks/experiments/README.md), a look at the
path costs one; so the paths that carry load are found here and the rest is handed on.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.head import Head
from gateway.http.respond import send_error
from protos.errors import Kind, PenstockError

log = logging.getLogger(__name__)

PREFIX = "/v2/models/"

# (head, receive, send, model, version)
Action = Callable[[Head, Receive, Send, str, str], Awaitable[None]]


class Dispatch:
    """The ASGI application; `actions` by the last segment of an inference path.

    This is the one place in which an error becomes an HTTP answer on the inference paths.
    """

    def __init__(self, actions: dict[str, Action], control: ASGIApp) -> None:
        self._actions = actions
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no lifespan, no WebSockets: the server is told so
        found = self._find(scope["path"])
        if found is None:
            await self._control(scope, receive, send)
            return
        action, model, version = found
        head = Head.of(scope)
        try:
            if scope["method"] != "POST":
                raise PenstockError(Kind.METHOD_NOT_ALLOWED, "this path takes POST")
            await action(head, receive, send, model, version)
        except PenstockError as error:
            await send_error(send, head, error)
        except Exception:
            incident = secrets.token_hex(8)
            log.exception("incident %s, request %s", incident, head.request_id)
            error = PenstockError(Kind.INTERNAL, f"internal error, incident {incident}")
            await send_error(send, head, error)

    def _find(self, path: str) -> tuple[Action, str, str] | None:
        if not path.startswith(PREFIX):
            return None
        match path[len(PREFIX) :].split("/"):
            case [model, last]:
                version = ""
            case [model, "versions", version, last]:
                pass
            case _:
                return None
        action = self._actions.get(last)
        return None if action is None else (action, model, version)
