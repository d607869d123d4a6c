"""The REST face's control side in Starlette: health, metadata, statistics, repository, OpenAPI."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.control import Control
from gateway.gate import Gate
from gateway.http.body import read_body
from gateway.http.keys_first import KeysFirst
from gateway.http.openapi import document
from gateway.http.rescue import rescue_handlers
from gateway.http.scope import alternative_names
from gateway.identity import EXTENSIONS, NAME, VERSION
from policies.authenticate import authorization
from policies.authorize import ADMIN, require_scope
from protos import v2_metadata
from protos.errors import Kind, PenstockError, invalid
from protos.json_reader import fields, parse_object, plain
from protos.names import check_text
from protos.principal import Principal

CONTROL_BODY_BYTES = 1024 * 1024

Handler = Callable[[Request], Awaitable[Response]]


def control_face(gate: Gate, control: Control) -> Starlette:
    """Every route of the REST face that doesn't carry inference."""

    def who(request: Request) -> Principal:
        scope = request.scope
        return gate.authenticate(authorization(scope["headers"]), alternative_names(scope))

    def asked(request: Request) -> tuple[Principal, str, str]:
        """The caller, and the model and version in the path, if they are there."""
        principal, named = who(request), request.path_params
        model, version = named.get("model", ""), named.get("version", "")
        return principal, check_text(model, "model"), check_text(version, "version")

    def managed(request: Request) -> tuple[Principal, str]:
        """An administrator, and the model in the path."""
        principal, model, _ = asked(request)
        require_scope(principal, ADMIN)
        return principal, model

    async def live(request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Request) -> Response:
        # The specification's example says `live` here, all servers say `ready`: both are given.
        ready = control.ready()
        return JSONResponse({"ready": ready, "live": ready}, 200 if ready else 503)

    async def server(request: Request) -> Response:
        who(request)
        return _json(v2_metadata.server(NAME, VERSION, EXTENSIONS))

    async def model(request: Request) -> Response:
        principal, name, version = asked(request)
        found = control.metadata(principal, name, version, request.scope["headers"])
        return _json(v2_metadata.model(found.name, found.versions, found.signature))

    async def model_ready(request: Request) -> Response:
        principal, name, version = asked(request)
        ready = control.model_ready(principal, name, version, request.scope["headers"])
        return JSONResponse({"name": name, "ready": ready}, 200 if ready else 503)

    async def config(request: Request) -> Response:
        principal, name, version = asked(request)
        found = await control.config(principal, name, version, request.scope["headers"])
        return _json(v2_metadata.message(found))

    async def stats(request: Request) -> Response:
        principal, name, version = asked(request)
        found = await control.statistics(principal, name, version)
        return _json(v2_metadata.statistics(found))

    async def index(request: Request) -> Response:
        principal = who(request)
        only_ready = (await _body(request, "ready")).get("ready", False)
        if not isinstance(only_ready, bool):
            raise invalid("ready: must be true or false")
        return _json(v2_metadata.index(control.index(principal, only_ready=only_ready)))

    async def load(request: Request) -> Response:
        principal, model = managed(request)
        parameters = (await _body(request, "parameters")).get("parameters", {})
        if not isinstance(parameters, dict):
            raise invalid("parameters: must be an object")
        if parameters:
            raise PenstockError(
                Kind.UNIMPLEMENTED, "parameters: models are loaded from the repository as they are"
            )
        async with gate.audit.action("model.load", principal, model=model):
            await control.load(model)
        return _json(b"{}")

    async def unload(request: Request) -> Response:
        principal, model = managed(request)
        async with gate.audit.action("model.unload", principal, model=model):
            await control.unload(model)
        return _json(b"{}")

    async def openapi(request: Request) -> Response:
        who(request)
        return _json(document())

    app = Starlette(
        routes=[
            Route("/v2", server),
            Route("/v2/health/live", live),
            Route("/v2/health/ready", ready),
            Route("/v2/models/stats", stats),
            *_of_model("", model),
            *_of_model("/ready", model_ready),
            *_of_model("/config", config),
            *_of_model("/stats", stats),
            Route("/v2/repository/index", index, methods=["POST"]),
            Route("/v2/repository/models/{model}/load", load, methods=["POST"]),
            Route("/v2/repository/models/{model}/unload", unload, methods=["POST"]),
            Route("/openapi.json", openapi),
        ],
        exception_handlers=rescue_handlers(partial(gate.audit.stranger, "http")),
        middleware=[Middleware(KeysFirst, authenticate=gate.authenticate)],
    )
    # A redirect would lead to whatever host the client says that this is.
    app.router.redirect_slashes = False
    return app


def _of_model(tail: str, handler: Handler) -> list[Route]:
    """The same route with and without a version."""
    return [
        Route("/v2/models/{model}" + tail, handler),
        Route("/v2/models/{model}/versions/{version}" + tail, handler),
    ]


async def _body(request: Request, *known: str) -> dict[str, Any]:
    """An optional small JSON object; raises INVALID for keys that are unknown or there twice."""
    body = await read_body(request.scope, request.receive, CONTROL_BODY_BYTES)
    if not body:
        return {}
    found = fields(parse_object(body), "", frozenset(known))
    return {key: plain(value, key) for key, value in found.items()}


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
