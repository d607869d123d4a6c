"""Lets handlers ask synchronously who the caller is, although keys may have to be fetched first."""

from contextlib import suppress

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.scope import alternative_names
from policies.authenticate import Authenticate, authorization
from protos.errors import PenstockError


class KeysFirst:
    """ASGI middleware that waits for the key of a request's token if it is just being fetched.

    It refuses nobody: the handlers do, since some of them are open to all.
    """

    def __init__(self, app: ASGIApp, authenticate: Authenticate) -> None:
        self._app = app
        self._authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            with suppress(PenstockError):
                await self._authenticate.admit(
                    authorization(scope["headers"]), alternative_names(scope)
                )
        await self._app(scope, receive, send)
