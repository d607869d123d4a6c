"""What probes hear is what gateways hear: both ask the next beat."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from backends.guard import Guard
from backends.health import LIVENESS, STARTUP, Health
from protos import discovery_pb2 as pb

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Said:
    """The beat of a process whose state the test sets."""

    def __init__(
        self, *states: str, healthy: bool = True, draining: bool = False, known: bool = True
    ) -> None:
        self.known = known
        self._models = [pb.Model(name="m", version=str(n), state=s) for n, s in enumerate(states)]
        self._healthy, self._draining = healthy, draining

    def beat(self, with_models: bool) -> pb.Beat:
        table = pb.ModelTable(models=self._models if with_models else ())
        return pb.Beat(healthy=self._healthy, draining=self._draining, models=table)


@asynccontextmanager
async def served(said: Said):
    server = aio.server(interceptors=(Guard("key that nobody shows", open_=False),))
    health_pb2_grpc.add_HealthServicer_to_server(Health(said.beat, lambda: said.known), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield health_pb2_grpc.HealthStub(channel)
    finally:
        await server.stop(None)


def status(said: Said, service: str = "") -> int:
    async def ask() -> int:
        async with served(said) as stub:
            return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("said", "ready", "alive"),
    [
        (Said("LOADING", "READY"), SERVING, SERVING),
        (Said("LOADING"), NOT_SERVING, SERVING),
        (Said(), NOT_SERVING, SERVING),
        (Said("READY", draining=True), NOT_SERVING, SERVING),
        (Said("READY", healthy=False), NOT_SERVING, NOT_SERVING),
    ],
    ids=["serves", "loads", "has nothing", "drains", "hangs"],
)
def test_a_probe_that_shows_no_key_hears_whether_it_serves_and_whether_it_lives(
    said: Said, ready: int, alive: int
) -> None:
    assert status(said) == ready
    assert status(said, LIVENESS) == alive


def test_who_was_let_in_by_no_gateway_has_started_and_is_not_ready() -> None:
    said = Said("READY", known=False)
    assert status(said, STARTUP) == SERVING
    assert status(said, LIVENESS) == SERVING
    assert status(said) == NOT_SERVING
    assert status(Said("LOADING"), STARTUP) == NOT_SERVING


def test_another_service_is_not_found() -> None:
    with pytest.raises(grpc.RpcError) as caught:
        status(Said("READY"), "penstock.v1.Exchange")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
