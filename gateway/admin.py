"""The administrative face on 8002: metrics, endpoints, routes, the console; nothing without a
token or, for the console, a session that an administrator's link began."""

import random
from functools import partial

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.audit.log import AuditLog
from gateway.console.access import check_unforged
from gateway.console.face import Console
from gateway.console.headers import Guarded
from gateway.console.shown import Shown
from gateway.endpoint_rows import endpoint_row
from gateway.http.keys_first import KeysFirst
from gateway.http.rescue import rescue_handlers
from gateway.http.scope import alternative_names
from gateway.hub import Hub
from gateway.records import Records
from gateway.rollout.face import rollout_routes
from gateway.routes.face import route_routes
from gateway.rules import Rules
from gateway.telemetry.exposition import CONTENT_TYPE
from gateway.usage.face import usage_routes
from policies.authenticate import Authenticate, authorization
from protos.errors import Kind, PenstockError
from protos.principal import Principal


def admin_app(
    hub: Hub,
    rules: Rules,
    records: Records,
    authenticator: Authenticate,
    audit: AuditLog,
    shown: Shown,
    *,
    port: int,
    secure: bool,
) -> ASGIApp:
    """The ASGI application; every route but `/health` takes the scope `admin`.

    `shown` is what the console at `/` shows; `port` is this face's, `secure` whether it has TLS.

    `/metrics` also takes the scope `metrics`, so that a scraper needn't be an administrator.
    """

    def require(request: Request, *scopes: str) -> Principal:
        check_unforged(request)
        scope = request.scope
        principal = authenticator(authorization(scope["headers"]), alternative_names(scope))
        if not any(principal.has(scope) for scope in scopes):
            raise PenstockError(Kind.FORBIDDEN, f"this takes the scope {' or '.join(scopes)}")
        return principal

    async def health(request: Request) -> Response:
        return JSONResponse({"live": True})

    async def metrics(request: Request) -> Response:
        require(request, "admin", "metrics")
        return Response(await hub.metrics_page(), media_type=CONTENT_TYPE)

    async def endpoints(request: Request) -> Response:
        require(request, "admin")
        rows = [endpoint_row(lease) for lease in hub.snapshot.leases]
        rows.sort(key=lambda row: row["instance"])
        return JSONResponse(
            {
                "revision": hub.snapshot.revision,
                "self_preservation": hub.snapshot.self_preservation,
                "settled": hub.snapshot.settled,
                "endpoints": rows,
            }
        )

    async def drain(request: Request) -> Response:
        principal, instance = require(request, "admin"), known(request)
        async with audit.action("endpoint.drain", principal, instance=instance):
            hub.discovery.drain(instance)
        return JSONResponse({"instance": instance, "state": "draining"}, status_code=202)

    async def evict(request: Request) -> Response:
        principal, instance = require(request, "admin"), known(request)
        async with audit.action("endpoint.evict", principal, instance=instance):
            hub.discovery.evict(instance)
        return JSONResponse({"instance": instance, "state": "evicted"})

    def known(request: Request) -> str:
        instance: str = request.path_params["instance"]
        if not any(lease.beat.instance == instance for lease in hub.snapshot.leases):
            raise PenstockError(Kind.NOT_FOUND, f'no endpoint is called "{instance}"')
        return instance

    console = Console(shown, authenticator, require, random.random, port=port, secure=secure)
    app = Starlette(
        routes=[
            Route("/health", health),
            Route("/metrics", metrics),
            Route("/admin/endpoints", endpoints),
            Route("/admin/endpoints/{instance}/drain", drain, methods=["POST"]),
            Route("/admin/endpoints/{instance}/evict", evict, methods=["POST"]),
            *route_routes(hub, rules, require),
            *usage_routes(records.store, require),
            *rollout_routes(rules.rollouts, require, audit.action),
            *console.routes(),
        ],
        exception_handlers=rescue_handlers(partial(audit.stranger, "admin")),
        middleware=[Middleware(KeysFirst, authenticate=authenticator)],
    )
    # A redirect would lead to whatever host the client says that this is.
    app.router.redirect_slashes = False
    return Guarded(app)
