"""Nothing without a token but health; what a token doesn't cover doesn't exist."""

import json
from typing import Any

import grpc
import httpx
import pytest

from chaos.mesh import Mesh
from gateway.http.openapi import document
from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.conformance.described import Description

PLACES = [
    (method.upper(), path.replace("{model}", "several").replace("{version}", "1"))
    for path, item in json.loads(document())["paths"].items()
    for method in item
    if method != "parameters"
]
CALLS = {
    "ServerMetadata": pb.ServerMetadataRequest(),
    "ModelReady": pb.ModelReadyRequest(name="several"),
    "ModelMetadata": pb.ModelMetadataRequest(name="several"),
    "ModelConfig": pb.ModelConfigRequest(name="several"),
    "ModelStatistics": pb.ModelStatisticsRequest(name="several"),
    "RepositoryIndex": pb.RepositoryIndexRequest(),
    "RepositoryModelLoad": pb.RepositoryModelLoadRequest(model_name="several"),
    "RepositoryModelUnload": pb.RepositoryModelUnloadRequest(model_name="several"),
    "ModelInfer": pb.ModelInferRequest(model_name="several"),
}


def call(mesh: Mesh, method: str, message: Any, token: str | None) -> Any:
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        return getattr(GRPCInferenceServiceStub(channel), method)(
            message, metadata=metadata, timeout=10.0
        )


@pytest.mark.parametrize(("method", "path"), PLACES)
def test_every_documented_route_exists_and_only_health_is_open(
    stranger: httpx.Client, method: str, path: str
) -> None:
    reply = stranger.request(method, path)

    assert reply.status_code == (200 if path.startswith("/v2/health") else 401)
    if reply.status_code == 401:
        assert reply.headers["www-authenticate"] == 'Bearer realm="penstock"'


def test_a_strangers_body_is_not_looked_at(stranger: httpx.Client) -> None:
    reply = stranger.post("/v2/models/several/infer", content=b"{" * 100_000)

    assert reply.status_code == 401


@pytest.mark.parametrize("method", CALLS)
def test_every_call_takes_a_token(mesh: Mesh, method: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(mesh, method, CALLS[method], None)

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_stream_takes_a_token(mesh: Mesh) -> None:
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        answers = GRPCInferenceServiceStub(channel).ModelStreamInfer(iter([CALLS["ModelInfer"]]))
        with pytest.raises(grpc.RpcError) as refused:
            next(answers)

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("method", ["ServerLive", "ServerReady"])
def test_the_protocols_own_health_is_open(mesh: Mesh, method: str) -> None:
    call(mesh, method, getattr(pb, f"{method}Request")(), None)


@pytest.mark.parametrize(
    ("method", "tail"),
    [
        ("GET", ""),
        ("GET", "/ready"),
        ("GET", "/config"),
        ("GET", "/stats"),
        ("POST", "/infer"),
        ("POST", "/generate"),
        ("POST", "/generate_stream"),
        ("GET", "/versions/1"),
        ("GET", "/versions/1/stats"),
        ("POST", "/versions/1/infer"),
    ],
)
def test_forbidden_models_answer_as_unknown_ones(
    mesh: Mesh, description: Description, method: str, tail: str
) -> None:
    body = {"content": _BODY} if method == "POST" else {}
    with mesh.client("infer:other*", event_hooks={"response": [description.check]}) as client:
        forbidden = client.request(method, f"/v2/models/several{tail}", **body)
        unknown = client.request(method, f"/v2/models/missing{tail}", **body)

    assert forbidden.status_code == unknown.status_code == 404
    assert forbidden.json()["error"].replace("several", "missing") == unknown.json()["error"]


_BODY = json.dumps(
    {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}
).encode()


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("ModelReady", pb.ModelReadyRequest),
        ("ModelMetadata", pb.ModelMetadataRequest),
        ("ModelConfig", pb.ModelConfigRequest),
        ("ModelStatistics", pb.ModelStatisticsRequest),
    ],
)
def test_forbidden_models_answer_as_unknown_ones_over_grpc(
    mesh: Mesh, method: str, message: Any
) -> None:
    token = mesh.token("infer:other*")
    details = []
    for name in ("several", "missing"):
        with pytest.raises(grpc.RpcError) as refused:
            call(mesh, method, message(name=name), token)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        details.append(refused.value.details().replace("several", "missing"))

    assert details[0] == details[1]


def test_the_index_and_the_statistics_show_only_what_the_token_covers(mesh: Mesh) -> None:
    with mesh.client("infer:echo_fp*") as client:
        index = client.post("/v2/repository/index").json()
        statistics = client.get("/v2/models/stats").json()["model_stats"]

    for rows in (index, statistics):
        assert {row["name"] for row in rows} == {"echo_fp16", "echo_fp32", "echo_fp64"}


@pytest.mark.parametrize("action", ["load", "unload"])
def test_loading_is_for_administrators(mesh: Mesh, rest: httpx.Client, action: str) -> None:
    reply = rest.post(f"/v2/repository/models/several/{action}")

    assert reply.status_code == 403
    method = f"RepositoryModel{action.capitalize()}"
    with pytest.raises(grpc.RpcError) as refused:
        call(mesh, method, CALLS[method], mesh.token("infer:*"))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("path", ["/metrics", "/admin/endpoints"])
def test_the_administrative_face_is_for_administrators(mesh: Mesh, path: str) -> None:
    url = f"http://{mesh.address('admin')}{path}"
    user = {"authorization": f"Bearer {mesh.token('infer:*')}"}

    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers=user).status_code == 403


def test_an_expired_token_is_none(mesh: Mesh, stranger: httpx.Client) -> None:
    token = mesh.token("infer:*", issued=-7200.0, lifetime=3600.0)

    reply = stranger.get("/v2", headers={"authorization": f"Bearer {token}"})

    assert reply.status_code == 401
