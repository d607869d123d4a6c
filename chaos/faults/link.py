"""A connection that passes through a fault proxy, and what befalls its bytes in each direction."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

CHUNK = 64 * 1024
WAITING = 64  # chunks of a direction that are held back: at most 4 MiB, then nobody reads on
_PIECES = 20  # a second, in which a narrow bandwidth passes bytes
_NO_LINGER = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close says RST


@dataclass(frozen=True, slots=True)
class Toxics:
    """What befalls the bytes of one direction. The defaults do nothing.

    Numbers of bytes count from a connection's beginning. What was swallowed is lost: a connection
    over which more comes afterwards is reset, since TCP passes nothing on behind a gap.
    """

    latency: float = 0.0  # seconds
    jitter: float = 0.0  # seconds more, at random
    bandwidth: float = 0.0  # bytes a second; 0 is all there is
    slices: int = 0  # bytes of a piece; 0 passes them as they come
    swallow: bool = False  # nothing arrives, nothing is said: a black hole
    timeout: float = 0.0  # seconds of a connection after which it is swallowed; 0 is never
    limit: int = -1  # bytes until the end (FIN); -1 is never
    reset_after: int = -1  # bytes until RST; -1 is never
    slow_close: float = 0.0  # seconds until the end is passed on


@dataclass(slots=True)
class Did:
    """What befell connections so far: those that were cut or reset, and bytes, by the fault."""

    cuts: int = 0  # connections, all at once
    resets: int = 0  # connections, each after its bytes
    swallowed: int = 0
    sliced: int = 0


@dataclass(frozen=True, slots=True)
class _Fin:
    """The direction is at its end; with `reset`, all of the connection."""

    reset: bool = False


class Link:
    """A client's connection and its twin behind the proxy."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        up: Callable[[], Toxics],
        down: Callable[[], Toxics],
        rng: Callable[[], float],
        did: Did,
    ) -> None:
        self._writers = (client[1], server[1])
        self._ways = (
            _Way(client[0], server[1], up, rng, did),
            _Way(server[0], client[1], down, rng, did),
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Until both directions are at their end, or one of them is broken."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._pass(way)) for way in self._ways]
        try:
            await self.ended()
        finally:
            self.end()

    async def ended(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def end(self, *, reset: bool = False) -> None:
        for writer in self._writers:
            abort(writer) if reset else writer.close()
        for task in self._tasks:
            task.cancel()

    async def _pass(self, way: "_Way") -> None:
        """What one side does to its connection, a reset too, happens to the other."""
        reading = asyncio.get_running_loop().create_task(way.read())
        try:
            if await way.write():
                self.end(reset=True)
            await reading
        except OSError:
            self.end(reset=True)
        finally:
            reading.cancel()


class _Way:
    """One direction. Bytes keep their order and, under latency, their distance."""

    def __init__(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        toxics: Callable[[], Toxics],
        rng: Callable[[], float],
        did: Did,
    ) -> None:
        self._source, self._sink = source, sink
        self._toxics, self._rng, self._did = toxics, rng, did
        self._held: asyncio.Queue[tuple[float, bytes | _Fin]] = asyncio.Queue(WAITING)

    async def read(self) -> None:
        loop = asyncio.get_running_loop()
        begun, due, passed, lost = loop.time(), 0.0, 0, False
        try:
            while chunk := await self._source.read(CHUNK):
                now, at = self._toxics(), loop.time()
                if now.swallow or (now.timeout and at - begun >= now.timeout):
                    lost = True
                    self._did.swallowed += len(chunk)
                    continue
                if lost:
                    break
                due = max(due, at + now.latency + now.jitter * self._rng())
                ends = [each for each in (now.limit, now.reset_after) if each >= 0]
                room = max(0, min(ends) - passed) if ends else len(chunk)
                await self._held.put((due, chunk[:room]))
                passed += len(chunk)
                if room < len(chunk):
                    reset = 0 <= now.reset_after == min(ends)
                    self._did.resets += reset
                    await self._held.put((due, _Fin(reset)))
                    return
        except OSError:
            lost = True
        if not (lost and self._toxics().swallow):
            last = max(due, loop.time()) + self._toxics().slow_close
            await self._held.put((last, _Fin(reset=lost)))

    async def write(self) -> bool:
        """Whether its end is a reset of the connection."""
        loop, free = asyncio.get_running_loop(), 0.0
        while True:
            due, piece = await self._held.get()
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            if isinstance(piece, _Fin):
                if not piece.reset and not self._sink.is_closing():
                    self._sink.write_eof()
                return piece.reset
            now = self._toxics()
            self._did.sliced += len(piece) if now.slices else 0
            for part in _sliced(piece, now.slices or int(now.bandwidth / _PIECES)):
                self._sink.write(part)
                await self._sink.drain()
                if now.bandwidth:
                    free = max(free, loop.time()) + len(part) / now.bandwidth
                    await asyncio.sleep(free - loop.time())
                elif now.slices:
                    await asyncio.sleep(0)


def abort(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with RST."""
    held = writer.get_extra_info("socket")
    if held is not None and held.fileno() >= 0:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()


def _sliced(chunk: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(chunk), size or len(chunk) or 1):
        yield chunk[at : at + (size or len(chunk))]
