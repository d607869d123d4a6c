"""The admin face's part about routes: what is in force, in which worker, and who would get what."""

import random
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.endpoint_rows import endpoint_row
from gateway.http.body import read_body
from gateway.hub import Hub
from gateway.routes.explain import explain
from gateway.routes.question import question
from gateway.rules import Rules
from policies.authorize import ADMIN
from protos.json_reader import read_object
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from routing.rules.split import Splitter

QUESTION_BYTES = 1 << 20


def route_routes(
    hub: Hub, rules: Rules, require: Callable[[Request, str], Principal]
) -> list[Route]:
    """`GET /admin/routes`, `POST /admin/routes/explain`; both take the scope `admin`."""
    # A request without a sticky key is divided by chance, and so is a question about one.
    splitter = Splitter(random.random)
    keeper = rules.keeper

    async def routes(request: Request) -> Response:
        require(request, ADMIN)
        return JSONResponse(
            {
                "revision": keeper.revision,
                "problem": keeper.problem,
                "applied_at": keeper.applied_at,
                "workers": hub.applied,
                "notes": keeper.documents.notes,
                "unserved": rules.unserved,
                "routes": [_row(each) for each in keeper.table().snapshots()],
            }
        )

    async def explained(request: Request) -> Response:
        require(request, ADMIN)
        body = await read_body(request.scope, request.receive, QUESTION_BYTES)
        asked = question(read_object(body))
        endpoints = [endpoint_row(lease) for lease in hub.snapshot.leases]
        return JSONResponse(explain(keeper.table(), splitter, asked, endpoints).to_json())

    return [
        Route("/admin/routes", routes),
        Route("/admin/routes/explain", explained, methods=["POST"]),
    ]


def _row(route: RouteSnapshot) -> dict[str, Any]:
    return {
        "name": route.name,
        "rollout": route.rollout,
        "arms": [
            {
                "name": arm.name,
                "model": arm.model,
                "version": arm.version,
                "weight": arm.weight,
                "fallback": arm.fallback,
            }
            for arm in route.arms
        ],
        "mirrors": [each.model_dump(mode="json", by_alias=True) for each in route.mirrors],
    }
