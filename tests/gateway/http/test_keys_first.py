"""Handlers of the control faces ask synchronously, after keys were waited for."""

import asyncio
from collections.abc import Sequence

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.http.keys_first import KeysFirst
from gateway.http.rescue import rescue_handlers
from policies.authenticate import authorization
from protos.errors import Kind, PenstockError
from protos.principal import Principal


class Rotating:
    """Knows a key once it was waited for."""

    knows_certificates = False

    def __init__(self) -> None:
        self._known = False

    def __call__(self, authorization: str | bytes, names: Sequence[str] = ()) -> Principal:
        if not self._known or authorization != b"Bearer new":
            raise PenstockError(Kind.UNAUTHENTICATED, "a valid bearer token is required")
        return Principal("ann", "acme", frozenset())

    async def admit(self, authorization: str | bytes, names: Sequence[str] = ()) -> Principal:
        await asyncio.sleep(0)
        self._known = authorization == b"Bearer new"
        return self(authorization, names)


def client() -> httpx.AsyncClient:
    authenticate = Rotating()

    async def who(request: Request) -> Response:
        return PlainTextResponse(authenticate(authorization(request.scope["headers"])).subject)

    async def health(request: Request) -> Response:
        return PlainTextResponse("live")

    app = Starlette(
        routes=[Route("/who", who), Route("/health", health)],
        exception_handlers=rescue_handlers(),
        middleware=[Middleware(KeysFirst, authenticate=authenticate)],
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_a_token_whose_key_is_being_fetched_is_served() -> None:
    async with client() as asking:
        reply = await asking.get("/who", headers={"authorization": "Bearer new"})
    assert (reply.status_code, reply.text) == (200, "ann")


async def test_nobody_is_refused_before_the_handler_asks() -> None:
    async with client() as asking:
        assert (await asking.get("/health")).text == "live"
        assert (await asking.get("/who")).status_code == 401
