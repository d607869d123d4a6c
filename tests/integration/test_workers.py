"""`workers: 2`: the same promises, one endpoint table, and metrics that are added up once."""

import json
from collections.abc import Iterator

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from chaos.mesh import Mesh
from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub
from protos.sse import Parser
from tests.integration import mesh_models as models
from tests.integration.lease_losses import leases_lost

INFER = "/v2/models/several/infer"
BODY = {
    "inputs": [
        {"name": "left", "datatype": "INT32", "shape": [1, 3], "data": [10, 20, 30]},
        {"name": "right", "datatype": "INT32", "shape": [1, 3], "data": [1, 2, 3]},
        {"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": ["abc"]},
    ]
}
# Refilled so slowly that no test lives to see it.
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: {name}}}
spec:
  match: [{{model: {name}}}]
  backends: [{{name: stable, model: several, version: "1"}}]
  limits: [{limit}]
"""
LIMITS = {
    "small": "{per: route, requests: 5/1h}",
    "large": "{per: route, requests: 30/30d}",
    "month": "{per: tenant, budget: {every: month, requests: 7}}",
}
SERVED = {"several", "count", *LIMITS}  # models, and what routes lead to one


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("workers")
    repository = folder / "models"
    models.write_several(repository)
    models.write_count(repository, folder / "streams")
    routes = {f"{name}.yaml": ROUTE.format(name=name, limit=each) for name, each in LIMITS.items()}
    with Mesh(folder, workers=2, routes=routes) as mesh:
        mesh.start_backend("only", repository)
        mesh.wait_ready(("several", "1"), ("count", "1"))
        yield mesh


@pytest.fixture
def bearer(mesh: Mesh) -> dict[str, str]:
    return {"authorization": f"Bearer {mesh.token('infer:*')}"}


def counted(mesh: Mesh) -> float:
    """Requests for `several` as the metrics page tells."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(mesh.metrics())
        for sample in family.samples
        if sample.name == "penstock_requests_total" and sample.labels["model"] == "several"
    )


def test_every_request_is_answered_and_counted_once(mesh: Mesh, bearer: dict[str, str]) -> None:
    before = counted(mesh)
    for _ in range(40):
        # A connection each, so that both workers get some.
        reply = httpx.post(f"{mesh.url}{INFER}", json=BODY, headers=bearer)
        assert reply.json()["outputs"][0]["data"] == [11, 22, 33]

    mesh.wait(lambda: counted(mesh) >= before + 40, "the workers to report")
    assert counted(mesh) == before + 40


def test_the_table_has_the_backend_once(mesh: Mesh) -> None:
    (row,) = mesh.endpoints()

    assert row["instance"] == "only"
    assert row["state"] == "ready"


def test_gauges_of_the_mesh_are_not_added_up(mesh: Mesh) -> None:
    families = text_string_to_metric_families(mesh.metrics())
    values = [f.samples[0].value for f in families if f.name == "penstock_endpoints"]

    assert values == [1.0]


def test_grpc_is_answered_by_both(mesh: Mesh, bearer: dict[str, str]) -> None:
    for _ in range(8):
        with triton.InferenceServerClient(mesh.address("grpc")) as client:
            assert client.is_server_ready()
            inputs = []
            for name in ("left", "right"):
                tensor = triton.InferInput(name, [1, 3], "INT32")
                tensor.set_data_from_numpy(np.array([[1, 2, 3]], "i4"))
                inputs.append(tensor)
            text = triton.InferInput("text", [1, 1], "BYTES")
            text.set_data_from_numpy(np.array([["abc"]], object))
            result = client.infer("several", [*inputs, text], headers=bearer)
            assert result.as_numpy("sum").tolist() == [[2, 4, 6]]


def test_streams_come_part_by_part(mesh: Mesh, bearer: dict[str, str]) -> None:
    body = {"n": 3, "pause": 0.02}
    for _ in range(4):
        reply = httpx.post(f"{mesh.url}/v2/models/count/generate_stream", json=body, headers=bearer)
        parts = [json.loads(event.data)["part"] for event in Parser().feed(reply.content)]
        assert parts == [0, 1, 2]
    request = pb.ModelInferRequest(model_name="count")
    request.inputs.add(name="n", datatype="INT32", shape=[1]).contents.int_contents.append(3)
    request.inputs.add(name="pause", datatype="FP32", shape=[1]).contents.fp32_contents.append(0)
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        stub = GRPCInferenceServiceStub(channel)
        answers = stub.ModelStreamInfer(iter([request]), metadata=tuple(bearer.items()))
        found = [each.infer_response.outputs[0].contents.int_contents[0] for each in answers]
    assert found == [0, 1, 2]


def test_the_control_side_is_the_same_everywhere(mesh: Mesh, bearer: dict[str, str]) -> None:
    for _ in range(8):
        index = httpx.post(f"{mesh.url}/v2/repository/index", headers=bearer).json()
        assert {row["name"]: row["state"] for row in index} == dict.fromkeys(SERVED, "READY")
        assert httpx.get(f"{mesh.url}/v2/models/several", headers=bearer).status_code == 200
        assert httpx.get(f"{mesh.url}/v2/models/several").status_code == 401
        assert httpx.get(f"{mesh.url}/v2/health/ready").json() == {"ready": True, "live": True}


def test_bad_input_is_refused_by_both(mesh: Mesh, bearer: dict[str, str]) -> None:
    for _ in range(8):
        reply = httpx.post(f"{mesh.url}{INFER}", json={"inputs": 3}, headers=bearer)
        assert reply.status_code == 400
        assert "inputs: must be an array" in reply.json()["error"]


@pytest.mark.parametrize(("model", "limit"), [("small", 5), ("large", 30), ("month", 7)])
def test_a_limit_holds_exactly_over_both(
    mesh: Mesh, bearer: dict[str, str], model: str, limit: int
) -> None:
    url = f"{mesh.url}/v2/models/{model}/infer"
    codes = [httpx.post(url, json=BODY, headers=bearer).status_code for _ in range(limit + 10)]

    assert set(codes) == {200, 429}
    assert codes.count(200) == limit or leases_lost(mesh)


def test_requests_that_failed_are_told_of_whichever_worker_had_them(
    mesh: Mesh, bearer: dict[str, str]
):
    def told() -> set[str]:
        answer = mesh.admin("GET", "/admin/requests/recent", params={"code": "400"})
        return {row["request_id"] for row in answer.raise_for_status().json()["requests"]}

    sent = {f"broken-{index}" for index in range(12)}
    for name in sent:
        # A connection each, so that both workers get some.
        headers = {**bearer, "x-request-id": name}
        httpx.post(f"{mesh.url}{INFER}", content=b"{", headers=headers, timeout=30.0)
    mesh.wait(lambda: sent <= told(), "all that failed")


def test_it_drains_when_it_is_told_to_stop(mesh: Mesh) -> None:
    """The last one: no worker is left behind."""
    assert mesh.gateway.stop() == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{mesh.url}/v2/health/live")
