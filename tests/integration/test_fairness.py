"""A tenant that floods a slow model, through a real gateway with two workers."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from chaos.mesh import Mesh
from policies.tokens import issue

BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0]}]}
SLOW = """
import time

def predict(inputs):
    time.sleep(0.02)
    return {"y": inputs["x"]}
"""
TENSORS = """
inputs: [{name: x, datatype: FP32, shape: [-1, 1]}]
outputs: [{name: y, datatype: FP32, shape: [-1, 1]}]
batching: {max: 1}
warmUp: {data: "off"}
"""
SETTINGS = """
fairness:
  weights: {noisy: 1}
  queue: {perTenant: 4}
"""
FLOOD = 300  # at once: more than both workers let through before they know the model


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("fairness")
    model = folder / "models" / "slow"
    model.mkdir(parents=True)
    (model / "model.py").write_text(SLOW)
    (model / "model.yaml").write_text(TENSORS)
    with Mesh(folder, workers=2, more=SETTINGS) as mesh:
        mesh.start_backend("only", folder / "models")
        mesh.wait_ready(("slow", "1"))
        yield mesh


def client(mesh: Mesh, tenant: str) -> httpx.AsyncClient:
    token = issue(
        mesh.issuer,
        tenant=tenant,
        scopes=("infer:*",),
        subject="tester",
        lifetime=600.0,
        now=mesh.now(),
    )
    headers = {"authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=mesh.url, headers=headers, timeout=60.0, limits=limits)


async def ask(by: httpx.AsyncClient) -> httpx.Response:
    return await by.post("/v2/models/slow/infer", json=BODY)


async def test_a_flood_is_refused_to_who_floods_and_to_nobody_else(mesh: Mesh) -> None:
    async with client(mesh, "noisy") as noisy, client(mesh, "quiet") as quiet:
        flood = [asyncio.create_task(ask(noisy)) for _ in range(FLOOD)]
        for _ in range(10):
            assert (await ask(quiet)).status_code == 200
        answers = await asyncio.gather(*flood)
    codes = Counter(answer.status_code for answer in answers)
    assert set(codes) == {200, 429}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    # One that isn't asked for too much answers as ever, and what was counted is told.
    async with client(mesh, "noisy") as noisy:
        assert (await ask(noisy)).status_code == 200
    counted = (
        f'penstock_fair_refused_total{{model="slow",tenant="noisy",reason="queue"}} {codes[429]}.0'
    )
    mesh.wait(lambda: counted in mesh.metrics(), counted)
    assert 'penstock_fair_waiting{model="slow"} 0.0' in mesh.metrics()
    assert 'penstock_in_flight_bound{model="slow"}' in mesh.metrics()
