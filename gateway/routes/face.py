"""The admin face's part about routes: what is in force, and in which worker."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.hub import Hub
from gateway.routes.keeper import RouteKeeper
from policies.authorize import ADMIN
from protos.route.snapshot import RouteSnapshot
from protos.values import Principal


def route_routes(
    hub: Hub, keeper: RouteKeeper, require: Callable[[Request, str], Principal]
) -> list[Route]:
    """`GET /admin/routes`; takes the scope `admin`."""

    async def routes(request: Request) -> Response:
        require(request, ADMIN)
        return JSONResponse(
            {
                "revision": keeper.revision,
                "problem": keeper.problem,
                "applied_at": keeper.applied_at,
                "workers": hub.applied,
                "notes": keeper.documents.notes,
                "routes": [_row(each) for each in keeper.table().snapshots()],
            }
        )

    return [Route("/admin/routes", routes)]


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
