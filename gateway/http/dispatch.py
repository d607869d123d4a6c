"""The public HTTP application: inference on raw ASGI, everything else in Starlette.

Starlette's router costs 18 µs over sixteen routes (benchmarks/experiments/README.md), a look at the
path costs one; so the paths that carry load are found here and the rest is handed on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.gate import client_gone
from gateway.http.head import Head
from gateway.http.respond import AlreadyTold, plain_error, send_error
from gateway.http.scope import peer_of
from protos.errors import Kind, PenstockError
from protos.incident import incident
from protos.names import check_text
from protos.timeline import Timeline

PREFIX = "/v2/models/"
OPENAI = "/v1/"

# (head, receive, send, model, version)
Action = Callable[[Head, Receive, Send, str, str], Awaitable[None]]
# (model, face, timeline, error)
Observe = Callable[[str, str, Timeline, Exception | None], None]
# (face, the client's address, the refusal)
Stranger = Callable[[str, str, PenstockError], None]


@dataclass(frozen=True, slots=True)
class Found:
    """What a path stands for; without `face`, under which inference is counted, it is none.

    An empty `method` stands for all of them. `operation` is what traces call it: the method, and
    the path without what clients fill in.
    """

    action: Action
    model: str = ""
    version: str = ""
    method: str = "POST"
    face: str = "http"
    encode_error: Callable[[PenstockError], bytes] = plain_error
    operation: str = ""


class Dispatch:
    """The ASGI application; `actions` by the last segment of an inference path.

    `openai` says what the paths below `/v1/` are; `stranger` is told who was refused. This is the
    one place in which an error becomes an HTTP answer on the inference paths.
    """

    def __init__(
        self,
        actions: Mapping[str, Action],
        openai: Callable[[str], Found],
        control: ASGIApp,
        observe: Observe,
        stranger: Stranger,
    ) -> None:
        self._actions = actions
        self._openai = openai
        self._observe = observe
        self._stranger = stranger
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no lifespan, no WebSockets: the server is told so
        found = self._find(scope["path"])
        if found is None:
            await self._control(scope, receive, send)
            return
        model, encode = found.model, found.encode_error
        head = Head.of(scope)
        head.timeline.operation = found.operation
        failure: Exception | None = None
        try:
            if found.method and scope["method"] != found.method:
                raise PenstockError(Kind.METHOD_NOT_ALLOWED, f"this path takes {found.method}")
            check_text(model, "model")
            check_text(found.version, "version")
            await found.action(head, receive, send, model, found.version)
        except PenstockError as error:
            failure = error
            if error.kind is Kind.UNAUTHENTICATED:
                self._stranger("http", peer_of(scope), error)
            if error.kind is not Kind.CANCELLED:  # then nobody is left to read it
                await send_error(send, head, error, encode, found.method)
        except AlreadyTold as told:
            failure = told.error
        except asyncio.CancelledError:
            failure = client_gone()
            raise
        except Exception as error:
            failure = error
            await send_error(send, head, incident(error, "a request failed"), encode)
        finally:
            if found.face:
                self._observe(model or head.timeline.model, found.face, head.timeline, failure)

    def _find(self, path: str) -> Found | None:
        if not path.startswith(PREFIX):
            return self._openai(path) if path.startswith(OPENAI) else None
        match path[len(PREFIX) :].split("/"):
            case [model, last]:
                version, template = "", "POST /v2/models/{model}/"
            case [model, "versions", version, last]:
                template = "POST /v2/models/{model}/versions/{version}/"
            case _:
                return None
        action = self._actions.get(last)
        if action is None:
            return None
        return Found(action, model, version, operation=template + last)
