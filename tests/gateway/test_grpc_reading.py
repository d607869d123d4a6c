"""Calls that are too many, and messages that can't be decoded, over real gRPC."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio

from gateway.grpc_reading import Reading, message_time
from gateway.listening import Limits
from protos import open_inference_pb2 as pb

WAIT = 30.0
FULL = grpc.StatusCode.RESOURCE_EXHAUSTED
MOST = 3  # calls at a time
JUNK = {
    "rubbish": b"\xff" * 64,
    "half a field": b"\x0a\x10abc",
    "a length of 2 to the 63rd": b"\x0a" + b"\xff" * 9 + b"\x01",
    "a name that is no UTF-8": b"\x0a\x03\xff\xfe\xfd",
    "a group that never ends": b"\x0b" * 1000,
    "field number 0": b"\x00\x01",
}


async def one(message: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:
    return pb.ModelReadyResponse(ready=message.name == "ready")


async def several(message: pb.ModelReadyRequest, context: Any) -> None:
    for _ in range(2):
        await context.write(pb.ModelReadyResponse(ready=message.name == "ready"))


@pytest.fixture
async def channel() -> AsyncIterator[aio.Channel]:
    codec: Any = pb.ModelReadyRequest.FromString, pb.ModelReadyResponse.SerializeToString
    handlers = {
        "One": grpc.unary_unary_rpc_method_handler(one, *codec),
        "Several": grpc.unary_stream_rpc_method_handler(several, *codec),
    }
    serving = aio.server(interceptors=(Reading(30.0, MOST),))
    serving.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Is", handlers),))
    port = serving.add_insecure_port("localhost:0")
    await serving.start()
    async with aio.insecure_channel(f"localhost:{port}") as channel:
        yield channel
    await serving.stop(0)


READY = pb.ModelReadyRequest(name="ready").SerializeToString()


async def test_what_can_be_decoded_is_served(channel: aio.Channel) -> None:
    answer = pb.ModelReadyResponse(ready=True).SerializeToString()
    assert await channel.unary_unary("/test.Is/One")(READY) == answer
    assert [each async for each in channel.unary_stream("/test.Is/Several")(READY)] == [answer] * 2


@pytest.mark.parametrize("junk", JUNK)
async def test_what_cannot_be_decoded_ends_its_call_with_a_sentence(
    channel: aio.Channel, junk: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls = (
        channel.unary_unary("/test.Is/One")(JUNK[junk]),
        channel.unary_stream("/test.Is/Several")(JUNK[junk]).read(),
    )
    for call in calls:
        with pytest.raises(aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.details() == "the message can't be decoded"
    assert caplog.records == []
    assert await channel.unary_unary("/test.Is/One")(READY)


async def test_unknown_methods_stay_unknown(channel: aio.Channel) -> None:
    with pytest.raises(aio.AioRpcError) as refused:
        await channel.unary_unary("/test.Is/Nothing")(READY)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_calls_beyond_the_bound_are_refused_until_others_end(channel: aio.Channel) -> None:
    held = [channel.stream_unary("/test.Is/One")() for _ in range(MOST)]
    for call in held:
        await call.wait_for_connection()
    async with asyncio.timeout(WAIT):
        while (await coded(channel)) is not FULL:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)
        for call in held:
            call.cancel()
        while (await coded(channel)) is FULL:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)


async def coded(channel: aio.Channel) -> grpc.StatusCode:
    return await channel.unary_unary("/test.Is/One")(READY).code()


def test_the_largest_message_has_its_time() -> None:
    limits = Limits.model_validate({"body": "64MiB", "bodyTimeout": "30s"})
    assert message_time(limits) == 94
