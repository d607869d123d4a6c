"""Who gets in, and which forms are taken: cookie, origin and token must all be right."""

import time
from collections.abc import Mapping
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.console.access import FORM_FIELDS, Access, check_origin, check_unforged
from gateway.console.sessions import Sessions
from gateway.http.rescue import rescue_handlers
from policies.refusal import Rejected, refusal
from protos.errors import PenstockError
from protos.principal import Principal

ADA = Principal("ada", "risk", frozenset({"admin"}))
BOB = Principal("bob", "risk", frozenset({"infer:*"}))
ORIGIN = "http://gateway:8002"


class Tokens:
    """Bearer tokens are people's names."""

    knows_certificates = False

    def __call__(self, authorization: str | bytes, names: object = ()) -> Principal:
        found = {b"Bearer ada": ADA, b"Bearer bob": BOB}.get(bytes(authorization))  # type: ignore[arg-type]
        if found is None:
            raise refusal(Rejected("nobody"))
        return found

    async def admit(self, authorization: str | bytes, names: object = ()) -> Principal:
        return self(authorization, names)


class Site:
    """A page and a form behind an `Access`."""

    def __init__(self, *, secure: bool = False) -> None:
        self.sessions = Sessions()
        self.access = Access(Tokens(), self.sessions, port=8002, secure=secure)
        app = Starlette(
            routes=[
                Route("/", self.page),
                Route("/", self.form, methods=["POST"]),
                Route("/welcome", self.welcome),
                Route("/leave", self.leave),
            ],
            exception_handlers=rescue_handlers(),
        )
        transport = httpx.ASGITransport(app)
        self.client = httpx.AsyncClient(transport=transport, base_url=ORIGIN)

    async def page(self, request: Request) -> Response:
        visitor = self.access.visitor(request)
        return JSONResponse({"who": visitor.principal.subject, "csrf": visitor.csrf})

    async def form(self, request: Request) -> Response:
        visitor, form = await self.access.posted(request)
        return JSONResponse({"who": visitor.principal.subject, "form": form})

    async def welcome(self, request: Request) -> Response:
        now = time.monotonic()
        cookie, _ = self.sessions.begin(self.sessions.invite(ADA, now), now)
        response = Response()
        self.access.welcome(request, response, cookie)
        return response

    async def leave(self, request: Request) -> Response:
        response = Response()
        self.access.leave(request, response)
        return response

    async def log_in(self) -> str:
        """The session's token for forms."""
        await self.client.get("/welcome")
        return str((await self.client.get("/")).json()["csrf"])

    async def post(self, headers: Mapping[str, str], body: str) -> httpx.Response:
        form = {"content-type": "application/x-www-form-urlencoded"}
        return await self.client.post("/", content=body, headers={**form, **headers})


@pytest.fixture
def site() -> Site:
    return Site()


async def test_without_session_or_token_nobody_gets_in(site: Site):
    assert (await site.client.get("/")).status_code == 401
    assert (await site.post({"origin": ORIGIN}, "csrf=")).status_code == 401


async def test_a_session_gets_in_until_it_is_left(site: Site):
    assert await site.log_in()
    assert (await site.client.get("/")).json()["who"] == "ada"
    cookie = dict(site.client.cookies)
    await site.client.get("/leave")
    site.client.cookies = httpx.Cookies(cookie)  # somebody has kept it
    assert (await site.client.get("/")).status_code == 401


async def test_a_bearer_token_gets_in_if_it_is_an_administrators(site: Site):
    assert (await site.client.get("/", headers={"authorization": "Bearer ada"})).status_code == 200
    assert (await site.client.get("/", headers={"authorization": "Bearer bob"})).status_code == 403


async def test_a_token_that_fails_is_not_made_good_by_a_session(site: Site):
    await site.log_in()
    answer = await site.client.get("/", headers={"authorization": "Bearer mallory"})
    assert answer.status_code == 401


async def test_a_form_of_our_own_page_is_taken(site: Site):
    csrf = await site.log_in()
    answer = await site.post({"origin": ORIGIN}, urlencode({"csrf": csrf, "a": "ü & b"}))
    assert answer.json() == {"who": "ada", "form": {"csrf": csrf, "a": "ü & b"}}


async def test_a_form_behind_a_proxy_that_ends_tls_is_taken(site: Site):
    csrf = await site.log_in()
    headers = {"origin": "https://console.test", "host": "console.test"}
    assert (await site.post(headers, f"csrf={csrf}")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://gateway:8003"},
        {"origin": "http://evil.test"},
        {"origin": "http://[evil"},
        {"origin": "http://gateway:8002.evil.test"},
        {"origin": "http://evil.test@gateway:8003"},
        {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
        {"origin": ORIGIN, "sec-fetch-site": "same-site"},
    ],
)
async def test_a_form_of_any_other_origin_is_refused(site: Site, headers: dict[str, str]):
    csrf = await site.log_in()
    answer = await site.post(headers, f"csrf={csrf}")
    assert answer.status_code == 403
    assert answer.json()["error"] == "the form was not sent from a page of this console"


@pytest.mark.parametrize("form", ["", "csrf=", "csrf=guess", "csrf=%FF", "other=1"])
async def test_a_form_without_the_sessions_token_is_refused(site: Site, form: str):
    await site.log_in()
    answer = await site.post({"origin": ORIGIN}, form)
    assert answer.status_code in (400, 403)


async def test_another_sessions_token_is_refused(site: Site):
    other = await site.log_in()
    await site.log_in()
    assert (await site.post({"origin": ORIGIN}, f"csrf={other}")).status_code == 403


async def test_who_shows_a_token_needs_neither_origin_nor_csrf(site: Site):
    answer = await site.post({"authorization": "Bearer ada"}, "a=1")
    assert answer.json() == {"who": "ada", "form": {"a": "1"}}


@pytest.mark.parametrize(
    "body",
    ["a=1&a=2", "a", "ü=1", "&".join(f"f{i}=1" for i in range(FORM_FIELDS + 1)), "a=%80"],
)
async def test_a_form_that_could_mean_two_things_is_refused(site: Site, body: str):
    answer = await site.post({"authorization": "Bearer ada"}, body)
    assert answer.status_code == 400
    assert "form" in answer.json()["error"]


async def test_the_cookie_is_for_this_gateway_alone_and_no_scripts(site: Site):
    cookie = (await site.client.get("/welcome")).headers["set-cookie"]
    assert cookie.startswith("penstock_console_8002=")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=28800"} <= set(cookie.split("; "))
    assert "Secure" not in cookie


async def test_behind_a_proxy_that_ends_tls_the_cookie_never_travels_without(site: Site):
    answer = await site.client.get("/welcome", headers={"origin": "https://console.test"})
    assert "Secure" in answer.headers["set-cookie"].split("; ")


async def test_over_tls_the_cookie_never_travels_without():
    cookie = (await Site(secure=True).client.get("/welcome")).headers["set-cookie"]
    assert cookie.startswith("__Host-penstock_console_8002=")
    assert "Secure" in cookie.split("; ")


def test_several_origins_are_none_of_ours():
    headers = [(b"host", b"gateway:8002"), *[(b"origin", ORIGIN.encode())] * 2]
    with pytest.raises(PenstockError):
        check_origin(Request({"type": "http", "headers": headers}))


CERTIFICATE_ONLY = {"host": "gateway:8002"}


def asked(method: str, headers: Mapping[str, str]) -> Request:
    sent = {**CERTIFICATE_ONLY, **headers}
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    return Request({"type": "http", "method": method, "headers": raw})


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test", "sec-fetch-site": "cross-site"},
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://[evil"},
    ],
)
def test_another_site_cannot_use_the_certificate_that_a_browser_shows(headers: dict[str, str]):
    with pytest.raises(PenstockError, match="another site"):
        check_unforged(asked("POST", headers))
    check_unforged(asked("GET", headers))
    check_unforged(asked("POST", {**headers, "authorization": "Bearer ada"}))


@pytest.mark.parametrize("headers", [{}, {"origin": ORIGIN, "sec-fetch-site": "same-origin"}])
def test_programs_and_our_own_pages_need_no_more_than_a_certificate(headers: dict[str, str]):
    check_unforged(asked("POST", headers))
