"""Who is let in by a backend: who shows the key that it told its gateways."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc import aio

from backends.guard import Guard
from protos.exchange_calls import ACCESS_KEY

EXCHANGE, UNARY = "/penstock.v1.Backend/Exchange", "/inference.GRPCInferenceService/ModelInfer"
READY = "/inference.GRPCInferenceService/ServerReady"


@asynccontextmanager
async def backend(*, open_: bool) -> AsyncIterator[aio.Channel]:
    async def answer(request: bytes, context: Any) -> bytes:
        return b"served"

    async def stream(requests: Any, context: Any) -> AsyncIterator[bytes]:
        yield b"served"

    unary = grpc.unary_unary_rpc_method_handler(answer)
    server = aio.server(interceptors=(Guard("the key", open_=open_),))
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "penstock.v1.Backend", {"Exchange": grpc.stream_stream_rpc_method_handler(stream)}
            ),
            grpc.method_handlers_generic_handler(
                "inference.GRPCInferenceService", {"ModelInfer": unary, "ServerReady": unary}
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


async def asked(channel: aio.Channel, method: str, *shown: tuple[str, str]) -> bool:
    """Whether it is answered; anything but a refusal for want of the key is raised."""
    try:
        if method == EXCHANGE:
            call = channel.stream_stream(method)(iter([b"x"]), metadata=shown, timeout=30)
            return [each async for each in call] == [b"served"]
        return bool(await channel.unary_unary(method)(b"x", metadata=shown, timeout=30))
    except aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
            raise
        return False


@pytest.mark.parametrize("method", [EXCHANGE, UNARY])
async def test_only_who_shows_the_key_is_served(method: str) -> None:
    async with backend(open_=False) as channel:
        assert await asked(channel, method, (ACCESS_KEY, "the key"))
        assert not await asked(channel, method)
        assert not await asked(channel, method, (ACCESS_KEY, "the kez"))
        assert not await asked(channel, method, *[(ACCESS_KEY, "the key")] * 2)


async def test_an_open_backend_serves_the_unary_protocol_alone_without_it() -> None:
    async with backend(open_=True) as channel:
        assert await asked(channel, UNARY)
        assert not await asked(channel, EXCHANGE)


async def test_health_is_open() -> None:
    async with backend(open_=False) as channel:
        assert await asked(channel, READY)


async def test_strangers_are_refused_before_they_have_sent_a_message() -> None:
    async with backend(open_=False) as channel, asyncio.timeout(30):
        code = await channel.stream_unary(UNARY)().code()
    assert code is grpc.StatusCode.UNAUTHENTICATED
