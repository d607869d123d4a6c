"""A real server on a free port, and a client that sends any bytes and reads what comes back."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.body import read_body
from gateway.http.server import HttpServer, serve
from gateway.listening import Limits
from protos.quantities import Address
from protos.tls import ServerTls


@dataclass
class Echo:
    """Answers with what it saw of the request; remembers scopes."""

    seen: list[Scope] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        body = await read_body(scope, receive, 1 << 20)
        names = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
        await reply(send, {"path": scope["path"], "headers": names, "body": body.decode("latin-1")})


async def reply(send: Send, value: object, status: int = 200) -> None:
    content = json.dumps(value).encode()
    headers = [(b"content-length", b"%d" % len(content)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@asynccontextmanager
async def running(
    app: ASGIApp, tls: ServerTls | None = None, **limits: Any
) -> AsyncIterator[HttpServer]:
    """`limits` are given by the fields' Python names, times in seconds."""
    settings = Limits().model_copy(update=limits)
    server = serve(app, Address("127.0.0.1", 0), settings, tls)
    await server.start()
    try:
        yield server
    finally:
        await server.drain(0.0)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def answers(raw: bytes) -> Iterator[Answer]:
    """All the replies in what a connection sent; raises ValueError for anything else."""
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in fields)}
        length = int(headers.get("content-length", 0))
        if len(raw) < length:
            raise ValueError(f"the reply was cut: {raw!r}")
        yield Answer(int(line.split(" ")[1]), headers, raw[:length])
        raw = raw[length:]


async def talk(
    server: HttpServer, *pieces: bytes, pause: float = 0.0, wait: float = 5.0
) -> list[Answer]:
    """Sends the pieces and reads until the server closes or has answered and stays silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    received = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(wait):
            while piece := await reader.read(65536):
                received += piece
                if _complete(received) and not _closes(received):
                    break
    except ConnectionError:
        if not received:
            raise
    finally:
        writer.close()
    return list(answers(received))


def _complete(raw: bytes) -> bool:
    try:
        return bool(list(answers(raw)))
    except ValueError:
        return False


def _closes(raw: bytes) -> bool:
    return list(answers(raw))[-1].headers.get("connection") == "close"


async def one(server: HttpServer, *pieces: bytes, **how: float) -> Answer:
    """The only answer."""
    found = await talk(server, *pieces, **how)
    if len(found) != 1:
        raise AssertionError(f"one answer was expected: {found}")
    return found[0]


async def until(condition: Callable[[], bool], wait: float = 5.0) -> None:
    """Returns when the condition holds; raises TimeoutError if it doesn't in time."""
    async with asyncio.timeout(wait):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
