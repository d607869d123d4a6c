"""The response cache on a real mesh: every face, many at once, new revisions, a store that dies."""

import asyncio
import itertools
import json
import time
from collections.abc import Iterator

import grpc
import pytest
from redis import Redis

from chaos.mesh import Mesh
from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.gateway.state.redis_server import RedisServer
from tests.integration.answers_kept import COUNTS, ask, bearer, client, counted, gateways, total

VALUES = itertools.count(100.0)  # that nobody has asked for


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def meshes(
    tmp_path_factory: pytest.TempPathFactory, redis: RedisServer
) -> Iterator[tuple[Mesh, Mesh]]:
    with gateways(tmp_path_factory.mktemp("cache"), redis.url) as meshes:
        yield meshes


@pytest.fixture
def mesh(meshes: tuple[Mesh, Mesh]) -> Mesh:
    return meshes[0]


@pytest.fixture
def other(meshes: tuple[Mesh, Mesh]) -> Mesh:
    return meshes[1]


def test_clients_are_told_where_an_answer_is_from(mesh: Mesh) -> None:
    first, second = ask(mesh, 1.0, x_request_id="one"), ask(mesh, 1.0, x_request_id="two")
    assert counted(first) == counted(second)
    assert (first.headers["x-cache"], "age" in first.headers) == ("miss", False)
    assert (second.headers["x-cache"], int(second.headers["age"]) < 60) == ("hit", True)
    assert [each.headers["x-request-id"] for each in (first, second)] == ["one", "two"]
    past = ask(mesh, 1.0, cache_control="no-store")
    assert (past.headers["x-cache"], counted(past) != counted(first)) == ("bypass", True)
    newer = ask(mesh, 1.0, cache_control="no-cache")
    assert counted(newer) not in (counted(first), counted(past))
    assert counted(ask(mesh, 1.0)) == counted(newer)


def test_only_if_cached_is_504_and_says_why(mesh: Mesh) -> None:
    refused = ask(mesh, 2.0, cache_control="only-if-cached")
    assert (refused.status_code, refused.headers["x-cache"]) == (504, "miss")
    assert "Cache-Control" in refused.json()["error"]
    counted(ask(mesh, 2.0))
    assert ask(mesh, 2.0, cache_control="only-if-cached").status_code == 200


def test_tenants_with_equal_bodies_have_answers_of_their_own(mesh: Mesh) -> None:
    numbers = {tenant: counted(ask(mesh, 3.0, tenant=tenant)) for tenant in ("a", "b")}
    assert numbers["a"] != numbers["b"]
    for tenant, number in numbers.items():
        assert counted(ask(mesh, 3.0, tenant=tenant)) == number


def infer_message(model: str, value: float = 0.0) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name=model)
    tensor = message.inputs.add(name="x", datatype="FP32", shape=[1, 1])
    tensor.contents.fp32_contents.append(value)
    return message


def test_an_answer_is_the_same_whichever_face_asked_first(mesh: Mesh) -> None:
    number = counted(ask(mesh, 4.0))
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        stub = GRPCInferenceServiceStub(channel)
        metadata = (("authorization", bearer(mesh)),)
        answer, call = stub.ModelInfer.with_call(infer_message("counts", 4.0), metadata=metadata)
        assert list(answer.outputs[0].contents.int_contents) == [number]
        trailers = dict(call.trailing_metadata())
        assert (trailers["x-cache"], int(trailers["age"]) < 60) == ("hit", True)
        refusing = (*metadata, ("cache-control", "only-if-cached"))
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(infer_message("counts", 4.5), metadata=refusing)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        # Parts are asked for one by one, so this is another answer; the second is that one again.
        told = []
        for _ in range(2):
            (part,) = stub.ModelStreamInfer(iter([infer_message("counts", 4.0)]), metadata=metadata)
            told.append(part.infer_response.parameters["penstock_cache"].string_param)
        assert told == ["miss", "hit"]


def test_a_thousand_equal_requests_at_once_are_one_execution_for_each_tenant(mesh: Mesh) -> None:
    ran, release = mesh.folder / "slow-ran", mesh.folder / "release"
    message = pb.ModelInferRequest(model_name="slow")
    message.inputs.add(name="seconds", datatype="FP32", shape=[1]).contents.fp32_contents.append(60)
    message.inputs.add(name="tag", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"t")

    async def all_at_once() -> list[str]:
        async with grpc.aio.insecure_channel(mesh.address("grpc")) as channel:
            stub = GRPCInferenceServiceStub(channel)
            calls = [
                stub.ModelInfer(message, metadata=(("authorization", bearer(mesh, tenant)),))
                for tenant in ["a"] * 1000 + ["b"]
            ]
            waiting = asyncio.gather(*calls)
            waiting_at = "penstock_cache_waiting"
            while await asyncio.to_thread(total, mesh, waiting_at) < 1001:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            release.touch()
            await waiting
            return [dict(await call.trailing_metadata())["x-cache"] for call in calls]

    told = asyncio.run(asyncio.wait_for(all_at_once(), 100.0))
    assert ran.read_text().splitlines() == ["t", "t"]
    assert (told.count("miss"), told.count("coalesced")) == (2, 999)


def test_streams_are_given_again_event_by_event(mesh: Mesh) -> None:
    def events() -> list[int]:
        answer = client().post(
            f"{mesh.url}/v2/models/count/generate_stream",
            json={"n": 4, "pause": 0.0},
            headers={"authorization": bearer(mesh)},
        )
        told.append(answer.headers["x-cache"])
        lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        return [json.loads(line)["part"] for line in lines]

    told: list[str] = []
    assert events() == events() == [0, 1, 2, 3]
    assert told == ["miss", "hit"]
    assert (mesh.folder / "count-ran").read_text().count("finished") == 1


def test_a_new_revision_is_asked_at_once(mesh: Mesh) -> None:
    before = counted(ask(mesh, 6.0))
    assert counted(ask(mesh, 6.0)) == before
    (mesh.folder / "models" / "counts" / "model.py").write_text(COUNTS.format(first=1000))
    mesh.client("admin", "infer:*").post("/v2/repository/models/counts/load").raise_for_status()
    mesh.wait(lambda: counted(ask(mesh, 6.0)) > 1000, "the new revision's answer")


def test_what_the_cache_does_is_counted_and_hits_say_nothing_of_the_arm(mesh: Mesh) -> None:
    hits, arm = "penstock_cache_requests_total", "penstock_requests_total"

    def reported() -> tuple[float, float]:
        return total(mesh, hits, route="again", outcome="hit"), total(
            mesh, arm, route="again", arm="stable"
        )

    for _ in range(6):
        counted(ask(mesh, 7.0, model="again"))
    mesh.wait(lambda: reported() == (5.0, 1.0), "five hits, and one request to the arm")
    assert total(mesh, "penstock_cache_bytes") > 0
    assert total(mesh, "penstock_cache_entries") > 0
    assert total(mesh, "penstock_cache_wrong_hits_total") == 0


def test_gateways_share_answers(mesh: Mesh, other: Mesh) -> None:
    # On a busy machine a write may take longer than the store is waited for.
    def shared() -> bool:
        value = next(VALUES)
        number = counted(ask(mesh, value))
        time.sleep(0.05)
        found = ask(other, value)
        return (counted(found), found.headers["x-cache"]) == (number, "hit")

    mesh.wait(shared, "an answer that both gateways have")


def test_what_somebody_writes_into_the_store_is_no_answer(
    mesh: Mesh, other: Mesh, redis: RedisServer
) -> None:
    store = Redis(port=redis.port)

    def refused() -> bool:
        value = next(VALUES)
        counted(ask(mesh, value))
        for name in store.scan_iter():
            store.set(name, b"\x00" * 100)
        assert counted(ask(other, value)) > 0
        return total(other, "penstock_cache_store_refused_total") > 0

    mesh.wait(refused, "a forged answer that was refused")


def test_gateways_serve_on_when_the_store_hangs_and_dies(other: Mesh, redis: RedisServer) -> None:
    for fault in (redis.pause, redis.kill):
        fault()
        for value in itertools.islice(VALUES, 4):
            missed = ask(other, value)
            assert (missed.status_code, missed.headers["x-cache"]) == (200, "miss")
            kept = ask(other, value)
            assert (counted(kept), kept.headers["x-cache"]) == (counted(missed), "hit")
    other.wait(
        lambda: total(other, "penstock_cache_store_failures_total") >= 8,
        "the failures in the metrics",
    )
    redis.start()  # for whoever comes next
