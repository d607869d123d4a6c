"""The client side of the exchange: calls meet streams only through an outbox and a sink.

One writer task and one reader task own a stream. Nothing cancels a read or a write, because
grpc.aio then ends the stream with every call on it.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import grpc.aio

from benchmarks.experiments.backend import split_frames
from benchmarks.experiments.wire import (
    EXCHANGE,
    INFER,
    OPTIONS,
    Call,
    Part,
    ReplyFrame,
    RequestFrame,
)

FRAME_CALLS, FRAME_BYTES, LARGE = 128, 512 << 10, 256 << 10


class StreamDied(Exception):
    """The stream ended with the call on it. `written`: a backend may have seen the call; `crashed`: the connection
    was lost with it, so that the backend may have died of a call (a stream can also end by its own status)."""

    def __init__(self, written: bool, crashed: bool = False) -> None:
        super().__init__("stream died", written, crashed)
        self.written, self.crashed = written, written and crashed


class Stalled(StreamDied):
    """The stream lives but the backend is silent."""


class Sink(Protocol):
    begun: bool  # a part came

    def part(self, part: Part) -> None: ...
    def fail(self, error: Exception) -> None: ...


class Answer:
    """The sink of a unary call."""

    __slots__ = ("future",)
    begun = False

    def __init__(self) -> None:
        self.future: asyncio.Future[Part] = asyncio.get_running_loop().create_future()

    def part(self, part: Part) -> None:
        if not self.future.done():
            self.future.set_result(part)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True)
class Request:
    input: bytes
    deadline: float
    extra: dict[str, Any] | None = None


@dataclass(slots=True)
class Pace:
    """How eagerly a link writes: further turns of the loop to wait for company."""

    turns: int = 0


class Link:
    """Calls on one stream. Subclasses move frames."""

    _ids = itertools.count(1)

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self.frames = self.calls = 0
        self.dead = False
        self.heard = asyncio.get_running_loop().time()
        self._outbox: dict[int, Request] = {}
        self._cancels: list[int] = []
        self._credits: list[tuple[int, int]] = []
        self._sinks: dict[int, Sink] = {}
        self._wake = asyncio.Event()

    def submit(self, request: Request, sink: Sink) -> int:
        if self.dead:
            raise StreamDied(written=False)
        ident = next(self._ids)
        self._sinks[ident] = sink
        self._outbox[ident] = request
        self._wake.set()
        return ident

    def cancel(self, ident: int) -> None:
        """A call that wasn't written yet is removed here; the backend hears of the others."""
        if self._sinks.pop(ident, None) is None or self._outbox.pop(ident, None) is not None:
            return
        self._cancels.append(ident)
        self._wake.set()

    def extend(self, ident: int, count: int) -> None:
        """Grants the backend `count` more bytes of a streamed reply."""
        if ident in self._sinks:
            self._credits.append((ident, count))
            self._wake.set()

    def evacuate(self) -> None:
        """The backend fell silent: calls that have no part yet may go elsewhere, begun replies wait for it."""
        for ident, sink in list(self._sinks.items()):
            if not sink.begun:
                written = ident not in self._outbox
                self.cancel(ident)
                sink.fail(Stalled(written))

    @property
    def busy(self) -> bool:
        return bool(self._sinks)

    def _frame(self) -> RequestFrame:
        now = asyncio.get_running_loop().time()
        frame, size, taken = RequestFrame(), 0, []
        for ident, request in self._outbox.items():
            size += len(request.input)
            if taken and (size > FRAME_BYTES or len(taken) == FRAME_CALLS):
                break
            taken.append(ident)
            left = max(0, int((request.deadline - now) * 1e6))
            call = frame.calls.add(
                id=ident,
                input=request.input,
                remaining_us=left,
                tenant="acme",
                traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            )
            if request.extra:
                for name, value in request.extra.items():
                    setattr(call, name, value)
        for ident in taken:
            del self._outbox[ident]
        frame.cancels.extend(self._cancels)
        for ident, count in self._credits:
            frame.credits.add(id=ident, bytes=count)
        self._cancels.clear()
        self._credits.clear()
        self.frames += 1
        self.calls += len(taken)
        return frame

    async def _write_all(self, write: Callable[[RequestFrame], Awaitable[None]]) -> None:
        while True:
            await self._wake.wait()
            for _ in range(self.pace.turns):
                await asyncio.sleep(0)
            self._wake.clear()
            while self._outbox or self._cancels or self._credits:
                await write(self._frame())

    def _accept(self, frame: ReplyFrame) -> None:
        sinks = self._sinks
        self.heard = asyncio.get_running_loop().time()
        for part in frame.parts:
            sink = sinks.pop(part.id, None) if part.final else sinks.get(part.id)
            if sink is not None:
                sink.part(part)

    def _die(self, crashed: bool) -> None:
        self.dead = True
        sinks, self._sinks = self._sinks, {}
        for ident, sink in sinks.items():
            sink.fail(StreamDied(ident not in self._outbox, crashed))
        self._outbox.clear()


class GrpcLink(Link):
    def __init__(self, channel: grpc.aio.Channel, pace: Pace | None = None) -> None:
        super().__init__(pace)
        self._stream = channel.stream_stream(
            EXCHANGE, RequestFrame.SerializeToString, ReplyFrame.FromString
        )()
        self._writer = asyncio.ensure_future(self._write_guarded())
        self.reader = asyncio.ensure_future(self._read())

    async def _write_guarded(self) -> None:
        try:  # noqa: SIM105
            await self._write_all(self._stream.write)
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass  # the reader sees the same end and reports it

    async def _read(self) -> None:
        crashed = False
        try:
            while (frame := await self._stream.read()) is not grpc.aio.EOF:
                self._accept(frame)
        except grpc.aio.AioRpcError as error:
            # a lost connection shows as UNAVAILABLE or, where a write met it first, as INTERNAL
            crashed = error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED
        finally:
            self._writer.cancel()
            self._die(crashed)

    async def opened(self) -> bool:
        """Waits for the backend to accept the stream: a call written before that would only burn an attempt."""
        accepted = asyncio.ensure_future(self._stream.initial_metadata())
        await asyncio.wait([accepted, self.reader], return_when=asyncio.FIRST_COMPLETED)
        accepted.cancel()
        await asyncio.gather(accepted, return_exceptions=True)
        return not self.reader.done()

    async def close(self) -> None:
        self._stream.cancel()
        await asyncio.gather(self.reader, self._writer, return_exceptions=True)


class FramedLink(Link, asyncio.Protocol):
    """The same frames on plain TCP: the floor under what grpc.aio costs."""

    @classmethod
    async def connect(cls, port: int) -> FramedLink:
        _, link = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._data = bytearray()

        async def write(frame: RequestFrame) -> None:
            data = frame.SerializeToString()
            transport.write(struct.pack("<I", len(data)) + data)  # type: ignore[attr-defined]

        self._writer = asyncio.ensure_future(self._write_all(write))

    def data_received(self, data: bytes) -> None:
        for frame in split_frames(self._data, data):
            self._accept(ReplyFrame.FromString(frame))

    def connection_lost(self, exc: Exception | None) -> None:
        self._writer.cancel()
        self._die(crashed=True)


class UnaryLink:
    """The control: every call is an RPC of its own."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._infer = channel.unary_unary(INFER, Call.SerializeToString, Part.FromString)

    async def call(self, request: Request, now: float) -> Part:
        call = Call(
            id=1,
            input=request.input,
            tenant="acme",
            traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        )
        return await self._infer(call, timeout=request.deadline - now)


def channel(port: int) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS)
