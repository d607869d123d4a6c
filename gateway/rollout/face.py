"""Rollouts on the admin face: `GET /admin/rollouts`, `POST /admin/rollouts/{route}/{action}`."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.rollout.controller import Rollouts
from policies.authorize import ADMIN
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.wording import did_you_mean, quote


class Act(Protocol):
    """Records what somebody does before it is done; `AuditLog.action` is it."""

    def __call__(
        self, what: str, who: Principal, **facts: Any
    ) -> AbstractAsyncContextManager[None]: ...


def rollout_routes(
    rollouts: Rollouts, require: Callable[[Request, str], Principal], act_as: Act
) -> list[Route]:
    """Both take the scope `admin`; a change is recorded under the token's subject@tenant."""
    actions = {"pause": rollouts.pause, "resume": rollouts.resume, "abort": rollouts.abort}

    async def status(request: Request) -> Response:
        require(request, ADMIN)
        return JSONResponse(await rollouts.status())

    async def act(request: Request) -> Response:
        principal = require(request, ADMIN)
        name = request.path_params["action"]
        if (action := actions.get(name)) is None:
            hint = did_you_mean(name, actions)
            raise PenstockError(Kind.NOT_FOUND, f"no action is called {quote(name)}{hint}")
        actor = f"{principal.subject}@{principal.tenant}"
        route = request.path_params["route"]
        async with act_as(f"rollout.{name}", principal, route=route):
            return JSONResponse(await action(route, actor))

    return [
        Route("/admin/rollouts", status),
        Route("/admin/rollouts/{route}/{action}", act, methods=["POST"]),
    ]
