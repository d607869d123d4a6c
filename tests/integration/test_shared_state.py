"""Limits that hold for several gateways together: a real Redis, real processes.

For those of one gateway's workers see `test_workers.py`.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache

import httpx
import pytest

from chaos.mesh import Mesh
from tests.gateway.state.redis_server import RedisServer
from tests.integration import mesh_models as models
from tests.integration.lease_losses import leases_lost

ECHO = ("echo", "1")
SIGNATURE = """
inputs: [{name: x, datatype: FP32, shape: [-1, 1]}]
outputs: [{name: y, datatype: FP32, shape: [-1, 1]}]
"""
BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0]}]}

# Refilled so slowly that no test lives to see it.
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: {name}}}
spec:
  match: [{{model: {name}}}]
  backends: [{{name: stable, model: echo, version: "1"}}]
  limits: [{limit}]
"""
LIMITS = {
    "small": "{per: route, requests: 5/1h}",
    "large": "{per: route, requests: 30/30d}",
    "month": "{per: tenant, budget: {every: month, requests: 7}}",
    "shares": "{per: route, requests: 1000/s, burst: 8, onStateLost: share}",
    "refuses": "{per: route, requests: 1000/s, onStateLost: refuse}",
}
ROUTES = {f"{name}.yaml": ROUTE.format(name=name, limit=each) for name, each in LIMITS.items()}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def gateways(
    redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Mesh, Mesh]]:
    """Two gateways that share a Redis."""
    repository = tmp_path_factory.mktemp("models")
    models.write_model(repository / "echo", models.ECHO, SIGNATURE)
    folder, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("another")
    state = f"state: {{url: {redis.url}}}\n"
    with (
        Mesh(folder, routes=ROUTES, more=state) as one,
        Mesh(other, routes=ROUTES, more=state, secret=one.secret) as another,
    ):
        both = f"{one.address('discovery')},{another.address('discovery')}"
        one.start_backend("both", repository, join=both)
        one.wait_ready(ECHO)
        another.wait_ready(ECHO)
        yield one, another


@cache
def client(mesh: Mesh) -> httpx.Client:
    # A connection for each request, so that all workers get some.
    return mesh.client("infer:*", limits=httpx.Limits(max_keepalive_connections=0))


def status(mesh: Mesh, model: str) -> int:
    return client(mesh).post(f"/v2/models/{model}/infer", json=BODY).status_code


def admitted(model: str, times: int, *meshes: Mesh) -> int:
    """How many of so many requests, to the gateways in turn, were not refused by a limit."""
    codes = Counter(status(meshes[i % len(meshes)], model) for i in range(times))
    assert set(codes) <= {200, 429}, codes
    return codes[200]


@pytest.mark.parametrize(("model", "limit"), [("small", 5), ("large", 30), ("month", 7)])
def test_a_limit_holds_exactly_over_two_gateways(
    gateways: tuple[Mesh, Mesh], model: str, limit: int
) -> None:
    found = admitted(model, limit + 10, *gateways)
    assert found == limit or leases_lost(*gateways)


def test_while_redis_hangs_limits_do_as_they_say_and_gateways_start(
    redis: RedisServer, gateways: tuple[Mesh, Mesh]
) -> None:
    one, another = gateways
    redis.pause()
    try:
        another.wait(lambda: status(another, "refuses") == 429, "a gateway to have noticed")
        assert admitted("shares", 20, another) > 0
        # What it knew to be used up stays so.
        assert admitted("small", 5, another) == 0
        one.gateway.stop()
        one.start_gateway()
        one.wait_ready(ECHO)
        one.wait(lambda: status(one, "refuses") == 429, "the new one to have noticed")
        assert status(one, "month") == 200  # of what it can't know, its share
    finally:
        redis.resume()
    one.wait(lambda: status(one, "refuses") != 429, "the new one to share")
    another.wait(lambda: status(another, "refuses") != 429, "the other to share again")
    assert admitted("small", 5, *gateways) == 0
    # The gateway that started anew has found what was used.
    one.wait(lambda: status(one, "month") == 429, "it to hear of it")


def test_the_state_is_told_in_metrics(gateways: tuple[Mesh, Mesh]) -> None:
    one, _ = gateways
    one.wait(lambda: "penstock_lease_exchanges_total" in one.metrics(), "a report")
