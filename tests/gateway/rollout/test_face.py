"""Rollouts over HTTP: who may, what is answered, and how refusals read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from gateway.http.rescue import rescue_handlers
from gateway.rollout.face import rollout_routes
from gateway.store.engine import open_store
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from tests.gateway.rollout.rollout_site import Site
from tests.routing.rollout.made_routes import CANARY, PAUSE, route


def require(request: Request, scope: str) -> Principal:
    if request.headers.get("authorization") != f"Bearer {scope}":
        raise PenstockError(Kind.FORBIDDEN, f"this takes the scope {scope}")
    return Principal("ada", "risk", frozenset({scope}))


@asynccontextmanager
async def act_as(what: str, who: Principal, **facts: Any) -> AsyncIterator[None]:
    if facts == {"route": "unrecordable"}:
        raise PenstockError(Kind.UNAVAILABLE, f"{what} of {who.subject} can't be recorded")
    yield


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    store = open_store(f"sqlite:///{tmp_path}/records.db")
    site = Site(store)
    site.routes = {"fraud": route(CANARY, PAUSE)}
    replica = site.replica()
    await replica.look()
    await replica.look()
    app = Starlette(
        routes=rollout_routes(replica.rollouts, require, act_as),
        exception_handlers=rescue_handlers(),
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://gateway",
        headers={"authorization": "Bearer admin"},
    ) as client:
        yield client
    store.close()


async def test_the_status_tells_all_rollouts(client: httpx.AsyncClient):
    answer = (await client.get("/admin/rollouts")).json()
    assert (answer["leads"], answer["problem"]) == (True, "")
    (rollout,) = answer["rollouts"]
    assert (rollout["route"], rollout["status"], rollout["weight"]) == ("fraud", "waiting", 5.0)
    assert [event["action"] for event in rollout["history"]] == ["begin", "step", "wait"]


async def test_a_change_is_recorded_under_the_tokens_name(client: httpx.AsyncClient):
    answer = await client.post("/admin/rollouts/fraud/abort")
    assert answer.status_code == 200
    assert answer.json()["status"] == "aborted"
    assert answer.json()["history"][-1]["actor"] == "ada@risk"


async def test_what_cannot_be_recorded_is_not_done(client: httpx.AsyncClient):
    answer = await client.post("/admin/rollouts/unrecordable/abort")
    assert answer.status_code == 503
    assert answer.json()["error"] == "rollout.abort of ada can't be recorded"


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("fraud/resum", 404, 'no action is called "resum"; did you mean "resume"?'),
        ("absent/pause", 404, 'route "absent" has no rollout'),
        ("fraud/abort/now", 404, "Not Found"),
    ],
)
async def test_refusals_say_what_is_wrong(
    client: httpx.AsyncClient, path: str, status: int, sentence: str
):
    answer = await client.post(f"/admin/rollouts/{path}")
    assert (answer.status_code, answer.json()["error"]) == (status, sentence)


async def test_what_is_over_is_a_clients_mistake(client: httpx.AsyncClient):
    await client.post("/admin/rollouts/fraud/abort")
    answer = await client.post("/admin/rollouts/fraud/resume")
    assert answer.status_code == 400
    assert "change the route to begin another" in answer.json()["error"]


async def test_reading_changes_nothing(client: httpx.AsyncClient):
    assert (await client.get("/admin/rollouts/fraud/abort")).status_code == 405


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", "/fraud/abort"), ("POST", "/absent/nothing")]
)
async def test_nothing_is_told_or_done_without_the_scope(
    client: httpx.AsyncClient, method: str, path: str
):
    answer = await client.request(
        method, f"/admin/rollouts{path}", headers={"authorization": "Bearer infer"}
    )
    assert answer.status_code == 403
