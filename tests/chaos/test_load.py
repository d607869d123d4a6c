"""What becomes of those who were asked, whatever a server says."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chaos.history import Outcome, Request
from chaos.invariants import none_failed
from chaos.load import PATH, Caller, Load
from chaos.streams import Streams
from protos.sse import encode

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OFTEN, SELDOM = Caller("token", 400.0), Caller("token", 0.001)
PARTS = 2


@asynccontextmanager
async def serving(handler: Handler, path: str = PATH) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post(path, handler)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


def load(url: str, caller: Caller, kind: type[Load] = Load, **settings: Any) -> Load:
    now = asyncio.get_running_loop().time
    return kind([url], [caller], now, random.Random(1), **settings)


def reply(data: object, **other: object) -> bytes:
    output = {"name": "number", "datatype": "INT64", "shape": [1, 1], "data": data} | other
    return json.dumps({"outputs": [output]}).encode()


async def asked(body: bytes, number: int = 7, **answer: Any) -> Request:
    """One request that is answered with that."""

    async def answered(_: web.Request) -> web.Response:
        return web.Response(body=body, **answer)

    async with serving(answered) as url, load(url, SELDOM) as one:
        return await one.ask(SELDOM, number)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (reply([7]), "answered"),
        (reply([8]), "cut"),
        (reply([None]), "cut"),
        (reply(["7"]), "cut"),
        (reply([7.5]), "cut"),
        (reply([[7]]), "cut"),
        (reply(None), "cut"),
        (reply([7], datatype="INT32"), "cut"),
        (b'{"outputs": [null]}', "cut"),
        (b"null", "cut"),
        (b"\xff", "cut"),
        (b"[" * 100_000, "cut"),
    ],
)
async def test_a_reply_that_is_not_this_requests_is_no_answer(body: bytes, outcome: Outcome):
    assert (await asked(body)).outcome == outcome


async def test_a_reply_that_cannot_even_be_read_is_in_the_history():
    undone = await asked(b"no gzip", headers={"content-encoding": "gzip"})
    assert undone.outcome in ("cut", "lost")
    assert undone.error


async def test_everybody_who_was_planned_is_in_the_history():
    seen, enough = itertools.count(1), asyncio.Event()

    async def every_third_wrong(request: web.Request) -> web.Response:
        (tensor,) = (await request.json())["inputs"]
        number = next(seen)
        if number == 30:
            enough.set()
        return web.Response(body=reply([None] if number % 3 == 0 else tensor["data"]))

    async with serving(every_third_wrong) as url, load(url, OFTEN) as many:
        await enough.wait()
    assert len(many.history) == next(seen) - 1
    assert len(many.history.of("cut")) == len(many.history) // 3
    assert not none_failed(many.history).holds


async def test_a_load_that_cannot_note_what_came_ends_with_that():
    enough = asyncio.Event()

    async def answered(_: web.Request) -> web.Response:
        enough.set()
        return web.Response(body=reply([1]))

    async with serving(answered) as url:
        some = load(url, OFTEN)
        some.history.requests = cast("list[Request]", None)
        await some.__aenter__()
        await enough.wait()
        with pytest.raises(AttributeError):
            await some.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ([b'{"number": 7}'] * PARTS, "answered"),
        ([b'{"number": 7}'], "cut"),
        ([b'{"number": 7}', b'{"number": 8}'], "cut"),
        ([b'{"number": 7}', b"null"], "cut"),
        ([b'{"number": 7}', b"{"], "cut"),
        ([b"\xff"], "cut"),
    ],
)
async def test_a_stream_is_answered_by_all_of_its_parts(parts: list[bytes], outcome: Outcome):
    async def answered(_: web.Request) -> web.Response:
        return web.Response(body=b"".join(encode(part) for part in parts))

    async with serving(answered, "/v2/models/parts/generate_stream") as url:
        async with load(url, SELDOM, Streams, parts=PARTS) as streams:
            assert (await streams.ask(SELDOM, 7)).outcome == outcome
