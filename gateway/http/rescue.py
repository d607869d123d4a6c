"""Where errors become answers in the Starlette applications; the inference paths have their own."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.http.respond import error_headers
from gateway.http.scope import ANSWERED, peer_of
from protos.errors import Kind, PenstockError
from protos.incident import incident


def rescue_handlers(
    stranger: Callable[[str, PenstockError], None] = lambda peer, error: None,
) -> dict[Any, Callable[[Request, Exception], Response | Awaitable[Response]]]:
    """For Starlette's `exception_handlers`: the protocol's error form for everything.

    `stranger` is told the address of whoever was refused without having proved who they are.
    """

    # A coroutine, since Starlette calls other functions in threads.
    async def ours(request: Request, error: Exception) -> Response:
        if isinstance(error, PenstockError) and error.kind is Kind.UNAUTHENTICATED:
            stranger(peer_of(request.scope), error)
        return _ours(request, error)

    return {PenstockError: ours, HTTPException: _starlettes, Exception: _unforeseen}


def _ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, PenstockError):
        raise error
    headers = {name.decode(): value.decode() for name, value in error_headers(error)}
    return JSONResponse({"error": error.message}, error.row.http, headers)


def _starlettes(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _unforeseen(request: Request, error: Exception) -> Response:
    request.scope[ANSWERED] = error
    return _ours(request, incident(error, "a request failed"))
