"""The public HTTP application: inference on raw ASGI, everything else in Starlette.

Starlette's router costs 18 µs over sixteen routes (benchmarks/experiments/README.md), a look at the
path costs one; so the paths that carry load are found here and the rest is handed on.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.gate import client_gone
from gateway.http.head import Head
from gateway.http.respond import AlreadyTold, send_error
from protos.errors import Kind, PenstockError
from protos.names import check_text
from protos.values import Timeline

log = logging.getLogger(__name__)

PREFIX = "/v2/models/"

# (head, receive, send, model, version)
Action = Callable[[Head, Receive, Send, str, str], Awaitable[None]]
# (model, face, timeline, error)
Observe = Callable[[str, str, Timeline, Exception | None], None]


class Dispatch:
    """The ASGI application; `actions` by the last segment of an inference path.

    This is the one place in which an error becomes an HTTP answer on the inference paths.
    """

    def __init__(self, actions: Mapping[str, Action], control: ASGIApp, observe: Observe) -> None:
        self._actions = actions
        self._observe = observe
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
        failure: Exception | None = None
        try:
            if scope["method"] != "POST":
                raise PenstockError(Kind.METHOD_NOT_ALLOWED, "this path takes POST")
            check_text(model, "model")
            check_text(version, "version")
            await action(head, receive, send, model, version)
        except PenstockError as error:
            failure = error
            if error.kind is not Kind.CANCELLED:  # then nobody is left to read it
                await send_error(send, head, error)
        except AlreadyTold as told:
            failure = told.error
        except asyncio.CancelledError:
            failure = client_gone()
            raise
        except Exception as error:
            failure = error
            incident = secrets.token_hex(8)
            log.exception("incident %s, request %s", incident, head.request_id)
            opaque = PenstockError(Kind.INTERNAL, f"internal error, incident {incident}")
            await send_error(send, head, opaque)
        finally:
            self._observe(model, "http", head.timeline, failure)

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
