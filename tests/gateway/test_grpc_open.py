"""Health over real gRPC, while strangers hold what they can of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio as health

from gateway import grpc_open
from gateway.grpc_open import CHECK, MESSAGES, WATCH
from gateway.grpc_reading import Reading
from protos import grpc_server
from protos import open_inference_pb2 as oip
from protos.open_inference_pb2_grpc import (
    GRPCInferenceServiceServicer,
    GRPCInferenceServiceStub,
    add_GRPCInferenceServiceServicer_to_server,
)

WAIT = 30.0
SERVING = pb.HealthCheckResponse.SERVING
LIVE = "/inference.GRPCInferenceService/ServerLive"


class Lives(GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated, without annotations
    async def ServerLive(self, message: Any, context: Any) -> Any:
        return oip.ServerLiveResponse(live=True)


@pytest.fixture
async def channel() -> AsyncIterator[aio.Channel]:
    # No call but health is served, so that none of it can count among the others.
    server = grpc_server.server(interceptors=(Reading(WAIT, most=0),))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    add_GRPCInferenceServiceServicer_to_server(Lives(), server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with aio.insecure_channel(f"localhost:{port}") as channel:
        yield channel
    await server.stop(0)


async def check(channel: aio.Channel, service: str = "") -> Any:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return await stub.Check(pb.HealthCheckRequest(service=service), timeout=WAIT)


async def test_who_is_live_is_said_without_a_message(channel: aio.Channel) -> None:
    stub: Any = GRPCInferenceServiceStub(channel)
    assert (await stub.ServerLive(oip.ServerLiveRequest(), timeout=WAIT)).live
    async with asyncio.timeout(WAIT):
        assert await channel.stream_unary(LIVE)().code() is grpc.StatusCode.OK


async def test_a_service_is_checked_by_its_name(channel: aio.Channel) -> None:
    assert (await check(channel)).status == SERVING
    with pytest.raises(aio.AioRpcError) as refused:
        await check(channel, "nobody's")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_checks_without_a_message_keep_nobody_from_checking(channel: aio.Channel) -> None:
    held = [channel.stream_unary(CHECK)() for _ in range(2 * MESSAGES)]
    async with asyncio.timeout(WAIT):
        # As many as may be waited for are; the others are answered without their message.
        answered, waiting = await asyncio.wait(
            [asyncio.ensure_future(call.code()) for call in held],
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert {await each for each in answered} == {grpc.StatusCode.OK}
        assert (await check(channel)).status == SERVING
        for call in held:
            call.cancel()
        await asyncio.wait(waiting)


async def test_who_watches_is_told_and_watches_are_bounded(
    channel: aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_open, "WATCHES", 2)
    watch = channel.unary_stream(WATCH, None, pb.HealthCheckResponse.FromString)
    held = [watch(b"") for _ in range(2)]
    for each in held:
        assert (await each.read()).status == SERVING
    assert await watch(b"").code() is grpc.StatusCode.UNIMPLEMENTED
    held[0].cancel()
    async with asyncio.timeout(WAIT):
        while (again := await watch(b"").read()) is aio.EOF:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)
    assert again.status == SERVING
