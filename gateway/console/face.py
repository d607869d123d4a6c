"""The console on 8002: pages for administrators, made here, readable without script."""

import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from importlib.resources import files

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.console import login
from gateway.console.access import Access, Visitor, check_origin, read_form
from gateway.console.answers import Answers
from gateway.console.explain import read_question
from gateway.console.frame import Frame
from gateway.console.headers import html
from gateway.console.pages import ROLLOUTS, Pages, filters
from gateway.console.rollouts import ACTIONS, confirm_page
from gateway.console.routes import routes_page
from gateway.console.sessions import LINK_SECONDS, Sessions
from gateway.console.shown import Shown
from gateway.endpoint_rows import endpoint_row
from gateway.http.scope import peer_of
from gateway.routes.explain import Explanation, explain
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
        self._answers = Answers()
        self._pages = Pages(shown, self._access, self._frame, self._answers)
        self._splitter = Splitter(chance)

    def routes(self) -> list[Route]:
        pages = self._pages
        # All methods of a path in one route, or a 405 would name those of the first alone.
        handlers: dict[str, dict[str, Handler]] = {
            "/": {"GET": pages.overview},
            "/requests": {"GET": pages.requests},
            "/requests/{trace}": {"GET": pages.request},
            "/rollouts": {"GET": pages.rollouts},
            "/rollouts/{route}/{action}": {"GET": self._confirm, "POST": self._act},
            "/routes": {"GET": self._routes, "POST": self._explain},
            "/usage": {"GET": pages.usage},
            "/shadow": {"GET": pages.shadow},
            "/shadow/report": {"GET": pages.report},
            "/login": {"GET": self._invitation, "POST": self._login},
            "/logout": {"POST": self._logout},
        }
        return [
            *(Route(path, self._page(by), methods=[*by]) for path, by in handlers.items()),
            *(Route(f"/{name}", self._asset(name)) for name in ASSETS),
            Route("/admin/console/links", self._invite, methods=["POST"]),
            Route("/admin/requests/recent", self._recent),
        ]

    # Programs

    async def _invite(self, request: Request) -> Response:
        principal = self._require(request, ADMIN)
        async with self._shown.audit.action("console.link", principal):
            code = self._sessions.invite(principal, time.monotonic())
        return JSONResponse({"path": f"/login?code={code}", "expires_in": LINK_SECONDS}, 201)

    async def _recent(self, request: Request) -> Response:
        self._require(request, ADMIN)
        found = self._shown.recent.find(filters(request), time.monotonic())
        return Response(orjson.dumps({"requests": found}), media_type="application/json")

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
        response = RedirectResponse("/", 303)
        self._access.welcome(request, response, cookie)
        return response

    async def _logout(self, request: Request) -> Response:
        visitor, _ = await self._access.posted(request)
        self._shown.audit.event("console.logout", **_who(visitor.principal))
        response = RedirectResponse("/", 303)
        self._access.leave(request, response)
        return response

    # Forms

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
        self._answers.forget(ROLLOUTS)
        return RedirectResponse("/rollouts", 303)

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

    def _page(self, by_method: Mapping[str, Handler]) -> Handler:
        """The handlers, whose refusals are pages, too."""

        async def handled(request: Request) -> Response:
            # A HEAD is a GET whose answer has no body (RFC 9110, 9.3.2).
            method = "GET" if request.method == "HEAD" else request.method
            try:
                return await by_method[method](request)
            except PenstockError as error:
                if error.kind is Kind.UNAUTHENTICATED:
                    self._shown.audit.stranger("admin", peer_of(request.scope), error)
                return html(login.refused(self._frame, error), error.row.http)

        return handled

    def _asset(self, name: str) -> Handler:
        async def asset(request: Request) -> Response:
            kept = {"cache-control": _A_DAY}
            return Response(self._assets[name], media_type=ASSETS[name], headers=kept)

        return asset


def _action(request: Request) -> str:
    name: str = request.path_params["action"]
    if name not in ACTIONS:
        hint = did_you_mean(name, ACTIONS)
        raise PenstockError(Kind.NOT_FOUND, f"no action is called {quote(name)}{hint}")
    return name


def _who(principal: Principal) -> dict[str, str]:
    return {"tenant": principal.tenant, "subject": principal.subject, "issuer": principal.issuer}
