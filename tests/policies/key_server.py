"""An issuer's web server over real TLS, that answers, hangs and misbehaves as a test says."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from protos.tls import ServerTls, server_context
from tests.pki import Authority

Write = Callable[[bytes], Awaitable[None]]
Answer = Callable[[Write], Awaitable[None]]


class KeyServer:
    """`answers` by path: a body, or what writes the whole reply; `asked` are the paths so far."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Answer] = {}
        self.asked: list[str] = []
        self.port = 0

    def serve_keys(self, *keys: dict[str, object], path: str = "/keys") -> None:
        self.answers[path] = json.dumps({"keys": keys}).encode()

    def url(self, path: str = "/keys", scheme: str = "https") -> str:
        return f"{scheme}://localhost:{self.port}{path}"

    @asynccontextmanager
    async def serving(self, context: ssl.SSLContext | None) -> AsyncIterator["KeyServer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def write(content: bytes) -> None:
            writer.write(content)
            await writer.drain()

        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            answer = self.answers.get(path)
            if answer is None:
                await write(reply(b"", "404 Not Found"))
            elif isinstance(answer, bytes):
                await write(reply(answer))
            else:
                await answer(write)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return
        finally:
            writer.close()


def tls(authority: Authority) -> ssl.SSLContext:
    pair = authority.issue("localhost")
    return server_context(ServerTls(certificate=pair.certificate, key=pair.key))


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(content: bytes) -> Answer:
    """The reply as it is."""

    async def answer(write: Write) -> None:
        await write(content)

    return answer


async def hanging(write: Write) -> None:
    await asyncio.sleep(30)


async def dripping(write: Write) -> None:
    """A byte now and then, so that no single read ever takes long."""
    await write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n")
    while True:
        await write(b" ")
        await asyncio.sleep(0.02)


async def endless(write: Write) -> None:
    await write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
    while True:
        await write(b" " * 65536)
