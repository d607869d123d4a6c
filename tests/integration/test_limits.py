"""Limits on a real mesh: what clients are told, what is counted, and what outlives a restart."""

import csv
from collections.abc import Iterator

import grpc
import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from chaos.mesh import Mesh
from policies.tokens import issue
from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.command_line import penstock
from tests.integration import mesh_models as models

ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {name: fraud}
spec:
  match: [{model: fraud}]
  backends: [{name: stable, model: echo, version: "1"}]
  limits:
    - {per: tenant, tenants: [bursty], requests: 3/1h}
    - {per: tenant, tenants: ["*-too"], requests: 1/1h}
    - {per: tenant, tenants: [thrifty], budget: {every: month, rows: 10}}
    - {per: tenant, tenants: [watched], requests: 1/1h, mode: observe}
"""

MODEL = """
inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]
outputs: [{name: y, datatype: FP32, shape: [-1, 4]}]
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("limits")
    repository = folder / "models"
    models.write_model(repository / "echo", models.ECHO, MODEL)
    more = "usage: {tenants: [thrifty]}\n"
    with Mesh(folder, routes={"fraud.yaml": ROUTE}, more=more) as mesh:
        mesh.start_backend("only", repository)
        mesh.wait_ready(("echo", "1"))
        yield mesh


def bearer(mesh: Mesh, tenant: str) -> dict[str, str]:
    token = issue(
        mesh.issuer,
        tenant=tenant,
        scopes=("infer:fraud",),
        subject="ann",
        lifetime=600.0,
        now=mesh.now(),
    )
    return {"authorization": f"Bearer {token}"}


def infer(mesh: Mesh, tenant: str, rows: int = 1) -> httpx.Response:
    given = {"name": "x", "datatype": "FP32", "shape": [rows, 4], "data": [0.0] * 4 * rows}
    path = f"{mesh.url}/v2/models/fraud/infer"
    return httpx.post(path, json={"inputs": [given]}, headers=bearer(mesh, tenant), timeout=30.0)


def message() -> pb.ModelInferRequest:
    asked = pb.ModelInferRequest(model_name="fraud")
    given = asked.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    given.contents.fp32_contents[:] = [0.0] * 4
    return asked


def metric(mesh: Mesh, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(mesh.metrics())
    samples = (sample for family in families for sample in family.samples)
    found = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
    return sum(found)


def usage(mesh: Mesh, *arguments: str) -> str:
    done = penstock("usage", "--config", str(mesh.file), *arguments)
    done.check_returncode()
    return done.stdout


def test_clients_see_their_limit_shrink_and_are_told_when_to_come_again(mesh: Mesh) -> None:
    for left in (2, 1, 0):
        answer = infer(mesh, "bursty")
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"requests-per-tenant";q=3;w=3600'
        assert answer.headers["ratelimit"].startswith(f'"requests-per-tenant";r={left};t=')
    refused = infer(mesh, "bursty")
    assert refused.status_code == 429
    assert refused.json() == {"error": "the limit of requests for each tenant is reached"}
    again = int(refused.headers["retry-after"])
    assert 0 < again <= 1200
    assert refused.headers["ratelimit"] == f'"requests-per-tenant";r=0;t={again}'
    assert "ratelimit" not in infer(mesh, "other").headers
    labels = {"route": "fraud", "per": "tenant", "counts": "requests", "mode": "enforce"}
    mesh.wait(lambda: metric(mesh, "penstock_limited_total", **labels) >= 1, "the refusal")


def test_grpc_has_it_as_trailers(mesh: Mesh) -> None:
    trailers: list[dict[str, str]] = []
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        stub = GRPCInferenceServiceStub(channel)
        metadata = list(bearer(mesh, "bursty-too").items())
        _, call = stub.ModelInfer.with_call(message(), metadata=metadata)
        trailers.append(dict(call.trailing_metadata()))
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(message(), metadata=metadata)
        trailers.append(dict(caught.value.trailing_metadata()))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert int(trailers[1]["grpc-retry-pushback-ms"]) > 0
    for found in trailers:
        assert found["ratelimit-policy"] == '"requests-per-tenant";q=1;w=3600'
        assert found["ratelimit"].startswith('"requests-per-tenant";r=0;t=')


def test_a_stream_of_requests_has_it_as_parameters_of_each(mesh: Mesh) -> None:
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        stub = GRPCInferenceServiceStub(channel)
        metadata = list(bearer(mesh, "streams-too").items())
        answers = list(stub.ModelStreamInfer(iter([message(), message()]), metadata=metadata))
    admitted, refused = sorted(answers, key=lambda answer: answer.error_message)
    assert refused.error_message == "the limit of requests for each tenant is reached"
    assert refused.infer_response.parameters["penstock_retry_pushback_ms"].int64_param > 0
    assert not admitted.error_message
    for found in (admitted, refused):
        told = found.infer_response.parameters
        policy = told["penstock_ratelimit_policy"].string_param
        assert policy == '"requests-per-tenant";q=1;w=3600'
        left = told["penstock_ratelimit"].string_param
        assert left.startswith('"requests-per-tenant";r=0;t=')


def test_what_is_only_observed_refuses_nobody_and_is_counted(mesh: Mesh) -> None:
    assert [infer(mesh, "watched").status_code for _ in range(3)] == [200, 200, 200]
    mesh.wait(
        lambda: metric(mesh, "penstock_limited_total", mode="observe") == 2,
        "what would have been refused",
    )


def test_a_budget_outlives_the_gateway_and_usage_is_exported(mesh: Mesh) -> None:
    assert infer(mesh, "thrifty", rows=4).status_code == 200
    assert infer(mesh, "thrifty", rows=3).status_code == 200
    over = infer(mesh, "thrifty", rows=4)
    assert over.status_code == 429
    assert over.json()["error"] == (
        "the month's budget of rows for each tenant has 3 left, and the request may take 4"
    )
    assert infer(mesh, "thrifty", rows=8).status_code == 429
    assert infer(mesh, "unnamed", rows=2).status_code == 200
    counted = {"tenant": "thrifty", "model": "fraud"}
    mesh.wait(
        lambda: metric(mesh, "penstock_usage_rows_total", **counted) == 7,
        "the rows that were used",
    )
    assert metric(mesh, "penstock_usage_rows_total", tenant="unnamed") == 0
    assert metric(mesh, "penstock_usage_device_seconds_total", tenant="thrifty") > 0

    mesh.gateway.stop()
    mesh.start_gateway()
    mesh.wait_ready(("echo", "1"))
    refused = infer(mesh, "thrifty", rows=4)
    assert refused.status_code == 429
    assert refused.headers["ratelimit"].startswith('"rows-per-tenant";r=3;t=')
    assert infer(mesh, "thrifty", rows=3).status_code == 200

    def told() -> dict[str, tuple[int, int]]:
        answer = mesh.admin("GET", "/admin/usage", params={"by": "tenant", "since": "1d"})
        return {row["tenant"]: (row["requests"], row["rows"]) for row in answer.json()["usage"]}

    mesh.wait(lambda: told().get("thrifty") == (3, 10), "the usage of both gateways")
    assert told()["unnamed"] == (1, 2)
    found = csv.DictReader(usage(mesh, "--format", "csv").splitlines())
    (row,) = [row for row in found if (row["tenant"], row["model"]) == ("unnamed", "fraud")]
    assert (row["requests"], row["rows"]) == ("1", "2")
    assert float(row["device_seconds"]) > 0
    as_csv = mesh.admin("GET", "/admin/usage", params={"format": "csv"})
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert mesh.admin("GET", "/admin/usage", params={"by": "team"}).status_code == 400
