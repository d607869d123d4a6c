"""A TCP proxy that does to a connection what networks do, and can be told otherwise at any time.

Like Toxiproxy's its faults are latency, bandwidth, slicing, a limit of bytes, a time-out after
which nothing passes any more, a slow close, resets, and being down. It works on any port without
rights, where a kernel's packet filters would need them.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

CHUNK = 64 * 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close says RST

Way = Literal["up", "down"]  # to the server, to the client


@dataclass(frozen=True, slots=True)
class Toxics:
    """What befalls the bytes of one direction. The defaults do nothing."""

    latency: float = 0.0  # seconds
    jitter: float = 0.0  # seconds more, at random
    bandwidth: float = 0.0  # bytes a second; 0 is all there is
    slices: int = 0  # bytes of a piece; 0 passes them as they come
    swallow: bool = False  # nothing arrives, nothing is said: a black hole
    reset_after: int = -1  # bytes of this direction until RST; -1 is never
    slow_close: float = 0.0  # seconds until the end is passed on


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and passes on to `target`, a port there.

    `up` and `down` hold for bytes that come after they were set, on all connections.
    """

    def __init__(self, target: int = 0, *, rng: Callable[[], float] = lambda: 0.5) -> None:
        self.target = target
        self.port = 0
        self.up = Toxics()
        self.down = Toxics()
        self.accepted = 0
        self._rng = rng
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.refuse()
        await self.cut()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def both(self, toxics: Toxics) -> None:
        """The same in both directions."""
        self.up = self.down = toxics

    async def refuse(self) -> None:
        """New connections are refused; those that are there go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def accept(self) -> None:
        """New connections are taken again, on the same port."""
        if self._server is None:
            await self._listen()

    async def cut(self, *, reset: bool = False) -> None:
        """Ends all connections, with FIN or RST."""
        links = list(self._links)
        for link in links:
            link.end(reset=reset)
        await asyncio.gather(*(link.ended() for link in links))

    def heal(self) -> None:
        self.both(Toxics())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _abort(writer)
            return
        link = _Link(reader, writer, inner, outer)
        self._links.add(link)
        try:
            await link.run(lambda: self.up, lambda: self.down, self._rng)
        finally:
            self._links.discard(link)


class _Link:
    """One connection and its twin behind the proxy."""

    def __init__(
        self,
        client_reader: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
    ) -> None:
        self._client_reader, self._client = client_reader, client
        self._server_reader, self._server = server_reader, server
        self._tasks: list[asyncio.Task[None]] = []

    async def run(
        self, up: Callable[[], Toxics], down: Callable[[], Toxics], rng: Callable[[], float]
    ) -> None:
        loop = asyncio.get_running_loop()
        ways: list[Awaitable[None]] = [
            self._pass(self._client_reader, self._server, up, rng),
            self._pass(self._server_reader, self._client, down, rng),
        ]
        self._tasks = [loop.create_task(_awaited(way)) for way in ways]
        try:
            await self.ended()
        finally:
            self.end()

    async def ended(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def end(self, *, reset: bool = False) -> None:
        for writer in (self._client, self._server):
            _abort(writer) if reset else writer.close()
        for task in self._tasks:
            task.cancel()

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        toxics: Callable[[], Toxics],
        rng: Callable[[], float],
    ) -> None:
        """Bytes keep their order and, under latency, their distance."""
        loop, due, passed = asyncio.get_running_loop(), 0.0, 0
        while chunk := await source.read(CHUNK):
            now = toxics()
            if now.swallow:
                continue
            passed += len(chunk)
            if 0 <= now.reset_after < passed:
                self.end(reset=True)
                return
            due = max(due, loop.time() + now.latency + now.jitter * rng())
            for piece in _sliced(chunk, now.slices):
                if now.bandwidth:
                    due = max(due, loop.time()) + len(piece) / now.bandwidth
                    await asyncio.sleep(max(0.0, due - loop.time()))
                elif now.slices:
                    await asyncio.sleep(0)
                loop.call_at(due, _write, sink, piece)
            if not now.latency:
                await sink.drain()
        await asyncio.sleep(toxics().slow_close)
        loop.call_at(max(due, loop.time()), _finish, sink)


async def _awaited(way: Awaitable[None]) -> None:
    try:
        await way
    except (ConnectionError, OSError):
        return


def _sliced(chunk: bytes, size: int) -> list[bytes]:
    if not size:
        return [chunk]
    return [chunk[at : at + size] for at in range(0, len(chunk), size)]


def _write(sink: asyncio.StreamWriter, piece: bytes) -> None:
    if not sink.is_closing():
        sink.write(piece)


def _finish(sink: asyncio.StreamWriter) -> None:
    if not sink.is_closing() and sink.can_write_eof():
        with suppress(OSError):  # the other end has reset it meanwhile
            sink.write_eof()


def _abort(writer: asyncio.StreamWriter) -> None:
    held = writer.get_extra_info("socket")
    if held is not None and held.fileno() >= 0:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
