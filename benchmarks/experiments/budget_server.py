"""A worker of the budget experiment, on a listening socket that it inherits.

python -m benchmarks.experiments.budget_server <fd> <raw|starlette|protocol> <filters 0|1> <uvloop|asyncio>
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from http import HTTPStatus
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import httptools
import numpy as np
import orjson
import simdjson
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.experiments.filters import COSTS_US, Reply, Request, Service, chain, stub

Handler = Callable[[str, bytes], Awaitable[bytes]]


def with_orjson(body: bytes) -> bytes:
    return np.asarray(orjson.loads(body)["inputs"][0]["data"], np.float32).tobytes()


def with_simdjson(body: bytes, parser: simdjson.Parser | None = None) -> bytes:
    document = (parser or simdjson.Parser()).parse(body)
    data = document.at_pointer("/inputs/0/data").as_buffer(of_type="d")
    return np.frombuffer(data, np.float64).astype("<f4").tobytes()


def in_shared_memory(name: str, size: int) -> int:
    """Runs in the pool: the body lies in shared memory and so does the answer."""
    memory = SharedMemory(name)
    data = with_simdjson(bytes(memory.buf[:size]))
    memory.buf[: len(data)] = data
    memory.close()
    return len(data)


class Work:
    """What every server here does for a request."""

    def __init__(self, filters: bool) -> None:
        self._parser = simdjson.Parser()
        stubs = [stub(cost if filters else 0) for cost in COSTS_US.values()] if filters else []
        self._service: Service = chain(stubs, self._exchange)
        self._pool: ProcessPoolExecutor | None = None

    async def _exchange(self, request: Request) -> Reply:
        return Reply(bytes(40))

    async def __call__(self, path: str, body: bytes) -> bytes:
        if path.startswith("/big/"):
            return b"%d" % await self._big(path[5:], body)
        payload = with_simdjson(body, self._parser)
        reply = await self._service(Request("1", "m", "", payload, {}, None))
        output = np.frombuffer(reply.first, np.float32)
        return orjson.dumps(
            {"outputs": [{"name": "y", "data": output}]}, option=orjson.OPT_SERIALIZE_NUMPY
        )

    async def _big(self, how: str, body: bytes) -> int:
        if how == "orjson":
            return len(with_orjson(body))
        if how == "simdjson":
            return len(with_simdjson(body))
        loop = asyncio.get_running_loop()
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, get_context("spawn"))
        if how == "thread":
            return len(await loop.run_in_executor(None, with_simdjson, body))
        if how == "pool":
            return len(await loop.run_in_executor(self._pool, with_simdjson, body))
        memory = SharedMemory(create=True, size=len(body))
        try:
            memory.buf[: len(body)] = body
            size = await loop.run_in_executor(self._pool, in_shared_memory, memory.name, len(body))
            return len(bytes(memory.buf[:size]))
        finally:
            memory.close()
            memory.unlink()


def raw_app(work: Handler) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        message = await receive()
        body = message["body"]
        if message["more_body"]:
            chunks = [body]
            while message["more_body"]:
                message = await receive()
                chunks.append(message["body"])
            body = b"".join(chunks)
        answer = await work(scope["path"], body)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


def starlette_app(work: Handler) -> Starlette:
    """Sixteen routes, the wanted one last, as an inference gateway has them."""

    async def endpoint(request: HTTPRequest) -> Response:
        answer = await work(request.url.path, await request.body())
        return Response(answer, media_type="application/json")

    others = [
        Route(f"/v2/models/{{model}}/other{n}", endpoint, methods=["POST"]) for n in range(15)
    ]
    return Starlette(routes=[*others, Route("/{rest:path}", endpoint, methods=["POST"])])


class HTTP(asyncio.Protocol):
    """The least that answers HTTP/1.1 on httptools: no timeouts, no back-pressure, no limits, one write an answer."""

    def __init__(self, work: Handler) -> None:
        self._work = work
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._chunks, self._headers = b"", [], []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        self._task = asyncio.ensure_future(self._answer(self._url.decode(), b"".join(self._chunks)))

    async def _answer(self, path: str, body: bytes) -> None:
        answer = await self._work(path, body)
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        ok = HTTPStatus.OK
        self._transport.write(head % (ok, ok.phrase.encode(), len(answer)) + answer)  # type: ignore[attr-defined]


async def serve(listener: socket.socket, kind: str, filters: bool) -> None:
    work = Work(filters)
    print(json.dumps({"pid": os.getpid()}), flush=True)
    if kind == "protocol":
        server = await asyncio.get_running_loop().create_server(lambda: HTTP(work), sock=listener)
        await server.serve_forever()
    app = starlette_app(work) if kind == "starlette" else raw_app(work)
    config = uvicorn.Config(
        app,
        http="httptools",
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=5,
    )
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    fd, kind, filters, loop = sys.argv[1:]
    run = asyncio.run if loop == "asyncio" else uvloop.run
    run(serve(socket.socket(fileno=int(fd)), kind, filters == "1"))
