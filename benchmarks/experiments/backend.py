"""An experimental backend process: one device thread behind a coalesced stream, unary gRPC and plain framed TCP.

python -m benchmarks.experiments.backend [record]      prints {"grpc": port, "framed": port}
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
import uvloop

from benchmarks.experiments.device import Device
from benchmarks.experiments.wire import (
    EXCHANGE,
    INFER,
    OPTIONS,
    Call,
    Part,
    ReplyFrame,
    RequestFrame,
)

FRAME_PARTS, FRAME_BYTES = 128, 512 << 10


class Session:
    """One stream's calls. Parts leave through an outbox; streamed replies stop while their credit is used up."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._outbox: list[dict] = []
        self._wake = asyncio.Event()
        self._live: dict[int, float] = {}
        self._credit: dict[int, int] = {}
        self._stalled: dict[int, tuple[Call, bytes, int]] = {}

    def accept(self, frame: RequestFrame) -> None:
        now = time.monotonic()
        for ident in frame.cancels:
            self._forget(ident)
        for credit in frame.credits:
            if credit.id in self._credit:
                self._credit[credit.id] += credit.bytes
                if credit.id in self._stalled:
                    self._stream(*self._stalled.pop(credit.id))
        if frame.calls:
            for call in frame.calls:
                self._live[call.id] = now
                if call.parts:
                    self._credit[call.id] = 64 << 10
            self._device.submit([(call, self._done, now, self._live) for call in frame.calls])

    def _forget(self, ident: int) -> None:
        self._live.pop(ident, None)
        self._credit.pop(ident, None)
        self._stalled.pop(ident, None)

    def _done(self, call: Call, output: bytes, queued: int, took: int, rows: int) -> None:
        if call.id not in self._live:
            return
        if call.parts:
            self._stream(call, output, 0)
            return
        del self._live[call.id]
        self._put(
            id=call.id, final=True, output=output, queue_us=queued, compute_us=took, rows=rows
        )

    def _stream(self, call: Call, output: bytes, number: int) -> None:
        """Sends part after part, one each turn of the loop, while the client's credit lasts."""
        if call.id not in self._live:
            return
        if self._credit[call.id] < call.part_bytes:
            self._stalled[call.id] = (call, output, number)
            return
        self._credit[call.id] -= call.part_bytes
        final = number + 1 == call.parts
        body = output + number.to_bytes(4, "little")
        self._put(id=call.id, final=final, output=body.ljust(call.part_bytes, b"\0"))
        if final:
            self._forget(call.id)
        else:
            asyncio.get_running_loop().call_later(0.002, self._stream, call, output, number + 1)

    def _put(self, **part: object) -> None:
        self._outbox.append(part)
        self._wake.set()

    async def write_all(self, write: Callable[[ReplyFrame], Awaitable[None]]) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                frame, size, taken = ReplyFrame(), 0, 0
                for part in self._outbox[:FRAME_PARTS]:
                    size += len(part["output"])
                    if taken and size > FRAME_BYTES:
                        break
                    frame.parts.add(**part)
                    taken += 1
                del self._outbox[:taken]
                await write(frame)


class Framed(asyncio.Protocol):
    """The same frames, each after its length, on a plain TCP connection."""

    def __init__(self, device: Device) -> None:
        self._session = Session(device)
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        async def write(frame: ReplyFrame) -> None:
            data = frame.SerializeToString()
            transport.write(struct.pack("<I", len(data)) + data)  # type: ignore[attr-defined]

        self._task = asyncio.ensure_future(self._session.write_all(write))

    def data_received(self, data: bytes) -> None:
        for frame in split_frames(self._data, data):
            self._session.accept(RequestFrame.FromString(frame))

    def connection_lost(self, exc: Exception | None) -> None:
        self._task.cancel()


def split_frames(kept: bytearray, data: bytes) -> list[bytes]:
    """Whole frames out of `kept + data`; the rest stays in `kept`."""
    kept += data
    frames, start = [], 0
    while len(kept) - start >= 4:
        end = start + 4 + int.from_bytes(kept[start : start + 4], "little")
        if end > len(kept):
            break
        frames.append(bytes(kept[start + 4 : end]))
        start = end
    del kept[:start]
    return frames


class Backend(grpc.GenericRpcHandler):
    def __init__(self, device: Device) -> None:
        self._device = device
        self._methods = {
            EXCHANGE: grpc.stream_stream_rpc_method_handler(
                self._exchange, RequestFrame.FromString, ReplyFrame.SerializeToString
            ),
            INFER: grpc.unary_unary_rpc_method_handler(
                self._infer, Call.FromString, Part.SerializeToString
            ),
        }

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._methods.get(details.method)

    async def _exchange(self, _: object, context: grpc.aio.ServicerContext) -> None:
        await context.send_initial_metadata(())  # the client counts the stream as open from here on
        session = Session(self._device)
        writer = asyncio.ensure_future(session.write_all(context.write))
        try:
            while (frame := await context.read()) is not grpc.aio.EOF:
                session.accept(frame)
        finally:
            writer.cancel()

    async def _infer(self, call: Call, _: grpc.aio.ServicerContext) -> Part:
        answer: asyncio.Future[Part] = asyncio.get_running_loop().create_future()

        def done(call: Call, output: bytes, queued: int, took: int, rows: int) -> None:
            part = Part(
                id=call.id, final=True, output=output, queue_us=queued, compute_us=took, rows=rows
            )
            if not answer.done():
                answer.set_result(part)

        self._device.submit([(call, done, time.monotonic(), (call.id,))])
        return await answer


async def serve(record: str) -> None:
    loop = asyncio.get_running_loop()
    sys.setswitchinterval(0.0005)
    device = Device(loop, record)
    device.start()
    server = grpc.aio.server(options=[*OPTIONS, ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Backend(device),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    framed = await loop.create_server(lambda: Framed(device), "127.0.0.1", 0)
    print(json.dumps({"grpc": port, "framed": framed.sockets[0].getsockname()[1]}), flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:] or [""]))
