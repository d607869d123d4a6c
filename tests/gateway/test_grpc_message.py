"""How long a call's one message is waited for, over real gRPC."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio

from gateway.grpc_message import Messages, served, serving
from protos import grpc_server

WAIT = 30.0


async def echo(message: bytes, context: Any) -> bytes:
    return message


async def twice(message: bytes, context: Any) -> None:
    for _ in range(2):
        await context.write(message)


@pytest.fixture
async def channel() -> AsyncIterator[aio.Channel]:
    def reading(handler: "grpc.RpcMethodHandler[Any, Any]", seconds: float) -> Any:
        serve, messages = serving(handler), Messages(seconds)

        async def answer(_: Any, context: Any) -> Any:
            return await serve(await messages.read(context), context)

        return served(handler, answer)

    one = grpc.unary_unary_rpc_method_handler(echo)
    several = grpc.unary_stream_rpc_method_handler(twice)
    server = grpc_server.server()
    handlers = {
        "Echo": reading(one, WAIT),
        "Twice": reading(several, WAIT),
        "EchoSoon": reading(one, 0.01),
        "TwiceSoon": reading(several, 0.01),
    }
    grpc_server.register(server, "test.Says", handlers)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with aio.insecure_channel(f"localhost:{port}") as channel:
        yield channel
    await server.stop(0)


async def test_clients_of_one_message_cannot_tell(channel: aio.Channel) -> None:
    assert await channel.unary_unary("/test.Says/Echo")(b"a") == b"a"
    assert [each async for each in channel.unary_stream("/test.Says/Twice")(b"a")] == [b"a", b"a"]


@pytest.mark.parametrize("method", ["EchoSoon", "TwiceSoon"])
async def test_a_message_that_never_comes_ends_its_call(
    channel: aio.Channel, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    call = channel.stream_stream(f"/test.Says/{method}")()
    async with asyncio.timeout(WAIT):
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await call.details() == "the message took too long"
    assert caplog.records == []


async def test_a_call_that_ends_without_a_message_is_invalid(channel: aio.Channel) -> None:
    call = channel.stream_unary("/test.Says/Echo")()
    await call.done_writing()
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await call.details() == "there is no message"
