"""A model server is looked at every second: its models, its health, its load."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from backends.openai.roster import Roster
from backends.openai.signals import Signals
from backends.openai.upstream import Upstream
from backends.openai.watch import PATIENCE, Watch

MODELS = {"data": [{"id": "a"}, {"id": "b"}, {"no": "id"}, 3]}


class Server:
    """Answers from a table: a status, a text, JSON, or an exception; 404 for what isn't in it."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {"/v1/models": MODELS, "/health": 200}
        self.asked: list[str] = []
        self.on_asked: Callable[[], None] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.on_asked()
        path = request.url.path
        self.asked.append(path)
        match self.answers.get(path, 404):
            case Exception() as error:
                raise error
            case int(status):
                return httpx.Response(status)
            case str(text):
                return httpx.Response(200, text=text)
            case json:
                return httpx.Response(200, json=json)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def watching(
    server: Server, clock: Clock | None = None, roster: Roster | None = None
) -> AsyncIterator[Watch]:
    upstream = Upstream("http://server/v1", None, httpx.MockTransport(server))
    yield Watch(upstream, roster or Roster({}), clock or Clock())
    await upstream.close()


def names(watch: Watch) -> list[str]:
    return [entry.name for entry in watch._roster.entries()]


async def test_before_the_first_look_nothing_is_well():
    async with watching(Server()) as watch:
        assert watch.unhealthy_reason
        assert await watch.look()  # which gateways should hear of at once
        assert watch.unhealthy_reason is None
        assert names(watch) == ["a", "b"]
        assert not await watch.look()


async def test_a_server_that_says_so_is_unhealthy():
    server = Server()
    async with watching(server) as watch:
        await watch.look()
        server.answers["/health"] = 503
        assert await watch.look()
        assert "not healthy" in watch.unhealthy_reason


async def test_a_server_without_health_or_metrics_is_not_asked_again():
    server = Server()
    del server.answers["/health"]
    async with watching(server) as watch:
        for _ in range(3):
            await watch.look()
        assert watch.unhealthy_reason is None
        assert server.asked.count("/health") == server.asked.count("/metrics") == 1


async def test_a_server_that_refuses_connections_is_down_at_once():
    server = Server()
    async with watching(server) as watch:
        await watch.look()
        server.answers["/v1/models"] = httpx.ConnectError("refused")
        assert await watch.look()
        assert "can't be reached" in watch.unhealthy_reason
        assert names(watch) == ["a", "b"]  # which may be there again in a moment


@pytest.mark.parametrize(
    "answer", [httpx.ReadTimeout("late"), 500, "no JSON", {"data": 1}, [1]], ids=str
)
async def test_a_server_that_answers_late_or_oddly_is_borne_with_for_a_while(answer):
    server, clock = Server(), Clock()
    async with watching(server, clock) as watch:
        await watch.look()
        server.answers["/v1/models"] = answer
        assert not await watch.look()
        assert watch.unhealthy_reason is None
        clock.now = PATIENCE + 1.0
        assert await watch.look()
        assert "doesn't answer" in watch.unhealthy_reason


async def test_the_load_is_what_the_last_look_found():
    server = Server()
    server.answers["/metrics"] = "tgi_queue_size 4\ntgi_batch_current_size 8\n"
    async with watching(server) as watch:
        await watch.look()
        assert watch.signals == Signals(4, 8)
        server.answers["/metrics"] = httpx.ReadTimeout("late")
        await watch.look()
        assert watch.signals == Signals()


async def test_until_the_next_page_is_there_the_last_one_holds():
    server = Server()
    server.answers["/metrics"] = "tgi_queue_size 4\n"
    async with watching(server) as watch:
        await watch.look()
        held = []
        server.on_asked = lambda: held.append(watch.signals)
        await watch.look()
        assert set(held) == {Signals(4)}


async def test_gateways_hear_of_models_that_come_and_go():
    server = Server()
    async with watching(server) as watch:
        await watch.look()
        server.answers["/v1/models"] = {"data": [{"id": "b"}, {"id": "c"}]}
        assert await watch.look()
        assert names(watch) == ["a", "b", "c"]


async def test_a_server_that_has_no_list_is_well_if_its_health_says_so():
    server = Server()
    server.answers["/v1/models"] = 500
    roster = Roster({"chat": "/models/a"}, unlisted=True)
    async with watching(server, roster=roster) as watch:
        await watch.look()
        assert watch.unhealthy_reason is None
        assert roster.get("chat", "").upstream == "/models/a"
        del server.answers["/health"]
        server.answers["/v1/models"] = MODELS  # then this has to say that it is there
        await watch.look()
        await watch.look()
        assert server.asked.count("/v1/models") == 1
        assert watch.unhealthy_reason is None
