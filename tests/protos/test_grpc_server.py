"""A server that no path ends, over real gRPC and raw HTTP/2."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio

from protos.grpc_server import register, server

WAIT = 30.0
CALLS = 10  # of a connection


async def echo(message: bytes, context: Any) -> bytes:
    return message


ENDLESS: set[Any] = set()  # calls that are being answered


async def endless(message: bytes, context: Any) -> None:
    ENDLESS.add(context)
    try:
        while True:
            await context.write(bytes(1000))
    finally:
        ENDLESS.discard(context)


METHODS = {
    "Say": grpc.unary_unary_rpc_method_handler(echo),
    "Endless": grpc.unary_stream_rpc_method_handler(endless),
}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    made = server()
    register(made, "test.Echo", METHODS)
    port = made.add_insecure_port("localhost:0")
    await made.start()
    yield port
    await made.stop(0)


async def say(port: int, method: str = "/test.Echo/Say") -> bytes:
    async with aio.insecure_channel(f"localhost:{port}") as channel:
        said: bytes = await channel.unary_unary(method)(b"a", timeout=WAIT)
        return said


def calls_of(path: bytes, number: int = 1) -> bytes:
    """Calls in frames of HTTP/2; gRPC's own client sends no such paths."""
    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": path,
        b":authority": b"a",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
    }
    head = b"".join(b"\0%c%b%c%b" % (len(n), n, len(v), v) for n, v in fields.items())
    streams = range(1, 2 * number, 2)
    frames = [(4, 0, 0, b"")]
    frames += [each for n in streams for each in ((1, 4, n, head), (0, 1, n, bytes(5)))]
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"".join(
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
        for kind, flags, stream, payload in frames
    )


async def test_registered_methods_are_served(port: int) -> None:
    assert await say(port) == b"a"


@pytest.mark.parametrize("path", [b"\xff\xfe", b"/test.Echo/\x80", b"/\xed\xa0\x80/a", b"/\0", b""])
async def test_a_path_that_is_no_text_ends_nothing(port: int, path: bytes) -> None:
    for _ in range(3):
        reader, writer = await asyncio.open_connection("localhost", port)
        writer.write(calls_of(path))
        async with asyncio.timeout(WAIT):
            received = b""
            while b"grpc-status" not in received and (piece := await reader.read(65536)):
                received += piece
        writer.close()
    assert await say(port) == b"a"


async def test_other_methods_are_unimplemented_however_many_ask(port: int) -> None:
    async def refused(number: int) -> grpc.StatusCode:
        with pytest.raises(aio.AioRpcError) as caught:
            await say(port, f"/test.Nothing/Say{number}")
        return caught.value.code()

    found = await asyncio.gather(*map(refused, range(20)))
    assert set(found) == {grpc.StatusCode.UNIMPLEMENTED}
    assert await say(port) == b"a"


async def test_clients_that_reset_leave_nothing_in_the_log(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        _, writer = await asyncio.open_connection("localhost", port)
        writer.write(calls_of(b"/test.Echo/Endless", CALLS))
        async with asyncio.timeout(WAIT):
            while len(ENDLESS) < CALLS:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0)
            writer.transport.abort()
            while ENDLESS:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.001)
    assert caplog.records == []
