"""The administrative face as a whole: whom all its paths refuse, and what all its answers say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from gateway.admin import admin_app
from gateway.console.headers import GUARDS
from policies.refusal import Rejected, refusal
from protos.principal import Principal

ADA = Principal("ada", "risk", frozenset({"admin"}))
ELSEWHERE = {"origin": "https://evil.test", "sec-fetch-site": "cross-site"}


class Certificates:
    """Who shows any certificate is an administrator."""

    knows_certificates = True

    def __call__(self, authorization: str | bytes, names: tuple[str, ...] = ()) -> Principal:
        if not names:
            raise refusal(Rejected("there is neither token nor certificate"))
        return ADA

    async def admit(self, authorization: str | bytes, names: tuple[str, ...] = ()) -> Principal:
        return self(authorization, names)


class Face:
    """The application of a gateway in which nothing runs, and what was done to it."""

    def __init__(self) -> None:
        self.aborted: list[str] = []
        audit = SimpleNamespace(action=self.action, stranger=lambda *told: None)
        rollouts = SimpleNamespace(pause=None, resume=None, abort=self.abort)
        keeper = SimpleNamespace(table=self.broken)
        rules: Any = SimpleNamespace(rollouts=rollouts, keeper=keeper)
        nothing: Any = SimpleNamespace(store=None)
        shown: Any = SimpleNamespace(name="g", audit=audit, history=None)
        self._app = admin_app(
            nothing,
            rules,
            nothing,
            Certificates(),
            audit,  # type: ignore[arg-type]
            shown,
            port=8002,
            secure=True,
        )
        transport = httpx.ASGITransport(self.with_certificate, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="https://gateway:8002")

    async def with_certificate(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = ("URI:spiffe://mesh/ada",)
        scope["extensions"] = {"tls": {"client_cert_alternative_names": names}}
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def action(self, what: str, who: Principal, **facts: Any) -> AsyncIterator[None]:
        yield

    async def abort(self, route: str, actor: str) -> dict[str, Any]:
        self.aborted.append(route)
        return {}

    def broken(self) -> None:
        raise ZeroDivisionError


@pytest.fixture
def face() -> Face:
    return Face()


@pytest.mark.parametrize("path", ["/admin/rollouts/fraud/abort", "/rollouts/fraud/abort"])
async def test_a_page_of_another_site_does_nothing_with_a_browsers_certificate(
    face: Face, path: str
):
    answer = await face.client.post(path, headers=ELSEWHERE)
    assert answer.status_code == 403
    assert face.aborted == []


async def test_a_program_needs_no_more_than_its_certificate(face: Face):
    assert (await face.client.post("/admin/rollouts/fraud/abort")).status_code == 200
    assert face.aborted == ["fraud"]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/health", 200),
        ("GET", "/nothing", 404),
        ("PUT", "/login", 405),
        ("GET", "/login", 401),
        ("POST", "/admin/rollouts/fraud/abort", 200),
        ("GET", "/admin/routes", 500),
        ("GET", "/console.js", 200),
    ],
)
async def test_every_answer_tells_the_browser_what_it_may_not_do(
    face: Face, method: str, path: str, code: int
):
    answer = await face.client.request(method, path)
    assert answer.status_code == code
    guards = {
        **GUARDS,
        **({"cache-control": "public, max-age=86400, immutable"} if "js" in path else {}),
    }
    assert {name: answer.headers.get(name) for name in GUARDS} == guards
