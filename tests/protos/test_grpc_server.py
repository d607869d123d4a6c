"""A server that no path ends, over real gRPC and raw HTTP/2."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio

from protos.grpc_server import register, server

WAIT = 30.0


async def echo(message: bytes, context: Any) -> bytes:
    return message


@pytest.fixture
async def port() -> AsyncIterator[int]:
    made = server()
    register(made, "test.Echo", {"Say": grpc.unary_unary_rpc_method_handler(echo)})
    port = made.add_insecure_port("localhost:0")
    await made.start()
    yield port
    await made.stop(0)


async def say(port: int, method: str = "/test.Echo/Say") -> bytes:
    async with aio.insecure_channel(f"localhost:{port}") as channel:
        said: bytes = await channel.unary_unary(method)(b"a", timeout=WAIT)
        return said


def call_of(path: bytes) -> bytes:
    """A call in frames of HTTP/2; gRPC's own client sends no such path."""
    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": path,
        b":authority": b"a",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
    }
    head = b"".join(b"\0%c%b%c%b" % (len(n), n, len(v), v) for n, v in fields.items())
    frames = ((4, 0, 0, b""), (1, 4, 1, head), (0, 1, 1, bytes(5)))
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
        writer.write(call_of(path))
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
