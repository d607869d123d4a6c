"""Errors of the Starlette applications: their form, and who is told of strangers."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.http.rescue import rescue_handlers
from protos.errors import Kind, PenstockError

ERRORS = {
    "stranger": PenstockError(Kind.UNAUTHENTICATED, "who?"),
    "busy": PenstockError(Kind.OVERLOADED, "busy", retry_after=2.0),
    "gone": HTTPException(404, "Not Found"),
    "broken": RuntimeError("a secret"),
}


async def answer(name: str) -> tuple[httpx.Response, list[tuple[str, str]]]:
    """The answer to an error, and the strangers that were told, on the event loop."""
    told: list[tuple[str, str]] = []

    def stranger(peer: str, error: PenstockError) -> None:
        asyncio.get_running_loop()
        told.append((peer, error.message))

    async def fails(request: Request) -> Response:
        raise ERRORS[name]

    app = Starlette(routes=[Route("/", fails)], exception_handlers=rescue_handlers(stranger))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("10.1.2.3", 4))
    async with httpx.AsyncClient(transport=transport, base_url="http://g") as client:
        return await client.get("/"), told


async def test_strangers_are_told_with_their_address():
    reply, told = await answer("stranger")
    assert (reply.status_code, reply.json()) == (401, {"error": "who?"})
    assert reply.headers["www-authenticate"] == 'Bearer realm="penstock"'
    assert told == [("10.1.2.3", "who?")]


@pytest.mark.parametrize(
    ("name", "status", "sentence"), [("busy", 503, "busy"), ("gone", 404, "Not Found")]
)
async def test_others_are_answered_and_nobody_is_told(name: str, status: int, sentence: str):
    reply, told = await answer(name)
    assert (reply.status_code, reply.json()["error"]) == (status, sentence)
    assert told == []


async def test_what_is_unforeseen_is_an_incident_without_its_text():
    reply, _ = await answer("broken")
    assert reply.status_code == 500
    assert reply.json()["error"].startswith("internal error, incident ")
    assert "secret" not in reply.text
