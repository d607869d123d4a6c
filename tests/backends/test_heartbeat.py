"""A backend's end of discovery; the gateway is a stand-in that answers as it is told.

Both ends together are in tests/gateway/test_discovery.py.
"""

import asyncio
import logging
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc import aio

from backends import heartbeat as heartbeat_module
from backends.heartbeat import Heartbeat
from protos import discovery_pb2 as pb

LET_IN = pb.Directive(lease_ttl_ms=5000)
REPLACED = pb.Directive(refused="epoch 1 of b is stale: 2 is known", known_epoch=2)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(heartbeat_module, "BEAT_INTERVAL", 0.02)
    monkeypatch.setattr(heartbeat_module, "RESOLVE_INTERVAL", 0.05)


class Gateway:
    """`answer` is what every beat gets; `beats` are those that came, `tokens` those of streams."""

    def __init__(self) -> None:
        self.answer = LET_IN
        self.beats: list[pb.Beat] = []
        self.tokens: list[object] = []

    async def _join(self, beats, context):
        self.tokens.append(dict(context.invocation_metadata()).get("authorization"))
        async for beat in beats:
            self.beats.append(beat)
            yield self.answer
            if self.answer.refused:
                return

    @asynccontextmanager
    async def serving(self):
        server = aio.server(options=[("grpc.so_reuseport", 0)])
        join = grpc.stream_stream_rpc_method_handler(
            self._join,
            request_deserializer=pb.Beat.FromString,
            response_serializer=pb.Directive.SerializeToString,
        )
        handlers = {"Join": join}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("penstock.v1.Discovery", handlers),)
        )
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield self
        finally:
            await server.stop(None)


def beat(with_models: bool) -> pb.Beat:
    return pb.Beat(instance="b", epoch=1, models_revision=1, models={} if with_models else None)


@asynccontextmanager
async def beating(gateway: Gateway, token_file=None, name="127.0.0.1"):
    names = (f"{name}:{gateway.port}",)
    made = Heartbeat(names, beat, token_file=token_file, on_drain=lambda: None)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_the_table_comes_with_the_first_beat_of_a_stream_alone():
    async with Gateway().serving() as gateway, beating(gateway):
        await until(lambda: len(gateway.beats) > 2)
        assert [each.HasField("models") for each in gateway.beats[:3]] == [True, False, False]


async def test_it_is_known_from_its_first_welcome_on_whatever_becomes_of_the_gateway():
    async with Gateway().serving() as gateway:
        gateway.answer = pb.Directive(refused="models: too much")
        async with beating(gateway) as heartbeat:
            await until(lambda: gateway.beats)
            assert not heartbeat.known
            gateway.answer = LET_IN
            await until(lambda: heartbeat.known)
            gateway.answer = pb.Directive(refused="models: too much")
            await until(lambda: not heartbeat.joined)
            assert heartbeat.known


async def test_a_process_that_was_replaced_is_not_ready_any_more():
    async with Gateway().serving() as gateway, beating(gateway) as heartbeat:
        await until(lambda: heartbeat.known)
        gateway.answer = REPLACED
        await until(lambda: not heartbeat.known)
        gateway.answer = LET_IN
        await until(lambda: heartbeat.known)


async def test_a_new_process_takes_the_epoch_after_the_one_that_is_known():
    async with Gateway().serving() as gateway:
        gateway.answer = REPLACED
        async with beating(gateway):
            await until(lambda: gateway.beats)
            gateway.answer = LET_IN
            await until(lambda: gateway.beats[-1].epoch == 3)


async def test_a_refusal_is_told_once(caplog):
    async with Gateway().serving() as gateway:
        gateway.answer = pb.Directive(refused="models: too much")
        with caplog.at_level(logging.ERROR, "backends.heartbeat"):
            async with beating(gateway):
                await until(lambda: len(gateway.tokens) > 2)
                gateway.answer = pb.Directive(refused="models: something else")
                await until(lambda: "something else" in caplog.text)
    assert len(caplog.records) == 2


async def test_an_address_that_the_name_has_lost_is_forgotten(monkeypatch):
    addresses = ["127.0.0.1"]

    async def getaddrinfo(host, port, **_):
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    async with Gateway().serving() as gateway:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        async with beating(gateway, name="gateways.internal") as heartbeat:
            await until(lambda: heartbeat.joined)
            addresses[:] = ["127.0.0.9"]
            await until(lambda: list(heartbeat._gateways) == [f"127.0.0.9:{gateway.port}"])


async def test_a_token_that_is_being_exchanged_is_waited_for(tmp_path):
    file = tmp_path / "token"
    async with Gateway().serving() as gateway, beating(gateway, file) as heartbeat:
        await until(lambda: heartbeat._gateways)
        assert not heartbeat.joined
        file.write_text("of today\n")
        await until(lambda: heartbeat.joined)
        assert gateway.tokens == ["Bearer of today"]
