"""The console on 8002: pages for administrators, made here, readable without script."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from hashlib import sha256
from importlib.resources import files
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.audit.log import AuditLog
from gateway.console import login
from gateway.console.access import Access, Visitor, check_origin, read_form
from gateway.console.alarms import alarms
from gateway.console.explain import read_question
from gateway.console.frame import Frame
from gateway.console.headers import REPORT_POLICY, guarded, html
from gateway.console.history import History
from gateway.console.overview import overview
from gateway.console.reports import Report
from gateway.console.requests import FILTERS, request_page, requests_page
from gateway.console.rollouts import ACTIONS, confirm_page, rollouts_page
from gateway.console.routes import routes_page
from gateway.console.sessions import LINK_SECONDS, Sessions
from gateway.console.shadow import shadow_page
from gateway.console.usage import usage_page
from gateway.endpoint_rows import endpoint_row
from gateway.http.scope import peer_of
from gateway.hub import Hub
from gateway.recent import RecentRequests
from gateway.routes.explain import Explanation, explain
from gateway.rules import Rules
from gateway.store.engine import Store, StoreError
from policies.authenticate import Authenticate
from policies.authorize import ADMIN
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.wording import did_you_mean, quote
from routing.rules.split import Splitter

ASSETS = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "console.svg": "image/svg+xml",
}
_A_DAY = "public, max-age=86400, immutable"  # their address has their hash in it

Handler = Callable[[Request], Awaitable[Response]]
Require = Callable[[Request, str], Principal]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the console shows of a gateway, and whom it tells what is done with it.

    `name` is the gateway's, `store` opens the record store and is called from threads.
    """

    name: str
    hub: Hub
    rules: Rules
    history: History
    recent: RecentRequests
    store: Callable[[], Store]
    audit: AuditLog
    report: Report


class Console:
    """`port` is that of the admin face, `secure` whether it speaks TLS."""

    def __init__(
        self,
        shown: Shown,
        authenticate: Authenticate,
        require: Require,
        chance: Callable[[], float],
        *,
        port: int,
        secure: bool,
    ) -> None:
        self._shown = shown
        self._require = require
        self._sessions = Sessions()
        self._access = Access(authenticate, self._sessions, port=port, secure=secure)
        self._assets = {
            name: files("gateway.console").joinpath(name).read_bytes() for name in ASSETS
        }
        digest = sha256(b"".join(self._assets.values())).hexdigest()[:12]
        self._frame = Frame(shown.name, digest)
        self._splitter = Splitter(chance)

    def routes(self) -> list[Route]:
        pages: list[tuple[str, Handler, str]] = [
            ("/", self._overview, "GET"),
            ("/requests", self._requests, "GET"),
            ("/requests/{trace}", self._request, "GET"),
            ("/rollouts", self._rollouts, "GET"),
            ("/rollouts/{route}/{action}", self._confirm, "GET"),
            ("/rollouts/{route}/{action}", self._act, "POST"),
            ("/routes", self._routes, "GET"),
            ("/routes", self._explain, "POST"),
            ("/usage", self._usage, "GET"),
            ("/shadow", self._shadow, "GET"),
            ("/shadow/report", self._report, "GET"),
            ("/login", self._invitation, "GET"),
            ("/login", self._login, "POST"),
            ("/logout", self._logout, "POST"),
        ]
        return [
            *(Route(path, self._page(handler), methods=[verb]) for path, handler, verb in pages),
            *(Route(f"/{name}", self._asset(name)) for name in ASSETS),
            Route("/admin/console/links", self._invite, methods=["POST"]),
            Route("/admin/requests/recent", self._recent),
        ]

    # Programs

    async def _invite(self, request: Request) -> Response:
        principal = self._require(request, ADMIN)
        async with self._shown.audit.action("console.link", principal):
            code = self._sessions.invite(principal, time.monotonic())
        return JSONResponse(
            {"path": f"/login?code={code}", "expires_in": LINK_SECONDS},
            201,
            {"cache-control": "no-store"},
        )

    async def _recent(self, request: Request) -> Response:
        self._require(request, ADMIN)
        found = self._shown.recent.find(_wanted(request), time.monotonic())
        return JSONResponse({"requests": found}, headers={"cache-control": "no-store"})

    # Getting in and out

    async def _invitation(self, request: Request) -> Response:
        code = request.query_params.get("code", "")
        principal = self._sessions.invited(code, time.monotonic())
        return html(login.invitation(self._frame, code, principal))

    async def _login(self, request: Request) -> Response:
        check_origin(request)
        form = await read_form(request)
        code, now = form.get("code", ""), time.monotonic()
        principal = self._sessions.invited(code, now)
        await self._shown.audit.recorded("console.login", **_who(principal))
        # Only here is it used up, at once, whoever else came with it meanwhile.
        cookie, _ = self._sessions.begin(code, time.monotonic())
        response = guarded(RedirectResponse("/", 303))
        self._access.welcome(response, cookie)
        return response

    async def _logout(self, request: Request) -> Response:
        visitor, _ = await self._access.posted(request)
        self._shown.audit.event("console.logout", **_who(visitor.principal))
        response = guarded(RedirectResponse("/", 303))
        self._access.leave(request, response)
        return response

    # Pages

    async def _overview(self, request: Request) -> Response:
        visitor, shown = self._access.visitor(request), self._shown
        found = alarms(shown.hub, shown.rules, shown.history, shown.audit.chain.failing)
        rollouts: Mapping[str, Any] | str
        try:
            rollouts = await shown.rules.rollouts.status()
        except PenstockError as error:
            rollouts = f"Not known: {error.message}."
        content = overview(shown.hub, shown.history, found, rollouts)
        return html(self._frame.page("Overview", "/", visitor, *content))

    async def _requests(self, request: Request) -> Response:
        visitor, wanted = self._access.visitor(request), _wanted(request)
        content = requests_page(self._shown.recent.find(wanted, time.monotonic()), wanted)
        return html(self._frame.page("Requests", "/requests", visitor, *content))

    async def _request(self, request: Request) -> Response:
        visitor = self._access.visitor(request)
        found = self._shown.recent.find(
            {"trace_id": request.path_params["trace"]}, time.monotonic()
        )
        if not found:
            raise PenstockError(Kind.NOT_FOUND, "the request isn't kept any longer, or never was")
        return html(self._frame.page("Request", "/requests", visitor, *request_page(found[0])))

    async def _rollouts(self, request: Request) -> Response:
        visitor = self._access.visitor(request)
        status = await self._shown.rules.rollouts.status()
        content = rollouts_page(status, visitor)
        return html(self._frame.page("Rollouts", "/rollouts", visitor, *content))

    async def _confirm(self, request: Request) -> Response:
        visitor = self._access.visitor(request)
        route, action = request.path_params["route"], _action(request)
        content = confirm_page(route, action, visitor)
        return html(self._frame.page(action.capitalize(), "/rollouts", visitor, *content))

    async def _act(self, request: Request) -> Response:
        visitor, _ = await self._access.posted(request)
        route, action, who = request.path_params["route"], _action(request), visitor.principal
        rollouts = self._shown.rules.rollouts
        act = {"pause": rollouts.pause, "resume": rollouts.resume, "abort": rollouts.abort}[action]
        async with self._shown.audit.action(f"rollout.{action}", who, route=route):
            await act(route, f"{who.subject}@{who.tenant}")
        return guarded(RedirectResponse("/rollouts", 303))

    async def _routes(self, request: Request) -> Response:
        return self._routes_page(self._access.visitor(request), {}, None)

    async def _explain(self, request: Request) -> Response:
        visitor, form = await self._access.posted(request)
        hub, keeper = self._shown.hub, self._shown.rules.keeper
        answer: Explanation | str
        try:
            asked = read_question(form)
            endpoints = [endpoint_row(lease) for lease in hub.snapshot.leases]
            answer = explain(keeper.table(), self._splitter, asked, endpoints)
        except PenstockError as error:
            answer = error.message
        return self._routes_page(visitor, form, answer)

    def _routes_page(
        self, visitor: Visitor, form: Mapping[str, str], answer: Explanation | str | None
    ) -> Response:
        content = routes_page(self._shown.hub, self._shown.rules, visitor, form, answer)
        return html(self._frame.page("Routes", "/routes", visitor, *content))

    async def _usage(self, request: Request) -> Response:
        visitor, shown = self._access.visitor(request), self._shown
        since = f"{datetime.now(UTC):%Y-%m}-01"
        found = await self._stored(
            lambda store: store.usage.sum(since=since, until="9999", by=("tenant", "model"))
        )
        content = usage_page(found, since, shown.history, shown.rules)
        return html(self._frame.page("Usage", "/usage", visitor, *content))

    async def _shadow(self, request: Request) -> Response:
        visitor = self._access.visitor(request)
        found = await self._stored(lambda store: store.pairs.routes())
        content = shadow_page(found, self._shown.history)
        return html(self._frame.page("Shadow", "/shadow", visitor, *content))

    async def _report(self, request: Request) -> Response:
        self._access.visitor(request)
        query = request.query_params
        page = await self._shown.report(query.get("route", ""), query.get("since", "24h"))
        return guarded(Response(page, media_type="text/html; charset=utf-8"), REPORT_POLICY)

    async def _stored(self, question: Callable[[Store], Any]) -> Any:
        """The record store's answer, or a sentence when there is none."""
        try:
            return await asyncio.to_thread(lambda: question(self._shown.store()))
        except (SQLAlchemyError, StoreError) as error:
            return f"The record store doesn’t answer ({type(error).__name__})."

    def _page(self, handler: Handler) -> Handler:
        """The handler, whose refusals are pages, too."""

        @wraps(handler)
        async def handled(request: Request) -> Response:
            try:
                return await handler(request)
            except PenstockError as error:
                if error.kind is Kind.UNAUTHENTICATED:
                    self._shown.audit.stranger("admin", peer_of(request.scope), error)
                return html(login.refused(self._frame, error), error.row.http)

        return handled

    def _asset(self, name: str) -> Handler:
        async def asset(request: Request) -> Response:
            response = Response(self._assets[name], media_type=ASSETS[name])
            response.headers["cache-control"] = _A_DAY
            return guarded(response)

        return asset


def _wanted(request: Request) -> dict[str, str]:
    """The filters that are filled in."""
    query = request.query_params
    return {name: value for name in FILTERS if (value := query.get(name, "").strip())}


def _action(request: Request) -> str:
    name: str = request.path_params["action"]
    if name not in ACTIONS:
        hint = did_you_mean(name, ACTIONS)
        raise PenstockError(Kind.NOT_FOUND, f"no action is called {quote(name)}{hint}")
    return name


def _who(principal: Principal) -> dict[str, str]:
    return {"tenant": principal.tenant, "subject": principal.subject, "issuer": principal.issuer}
