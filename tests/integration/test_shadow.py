"""Shadow traffic through the whole mesh: every face, every kind of comparison, bad candidates.

The version that serves and the candidate lie in two processes, as they should in production too.
"""

import json
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from chaos.mesh import Mesh
from chaos.processes import Process
from gateway.config import load_config
from gateway.store.engine import open_store
from routing.shadow.record import PairRecord
from tests.integration.mesh_models import write_model

# With x > 0 version 2 answers differently, in every output; before it may be told to fail.
ANSWER = """
import json, os, time
import numpy as np

def predict(inputs):
    if {version} == 2 and os.path.exists({fail!r}):
        raise RuntimeError("this version is broken")
    rows = inputs["x"].shape[0]
    differs = {version} == 2 and inputs["x"].max() > 0
    document = {{"name": "Ada" if differs else "Eve", "score": 0.5, "at": time.time()}}
    return {{
        "vector": np.full((rows, 4), 1.001 if differs else 1.0, np.float32),
        "scores": np.tile(np.float32([0.7, 0.2, 0.1] if differs else [0.2, 0.7, 0.1]), (rows, 1)),
        "document": np.array([[json.dumps(document)]] * rows, object),
        "text": np.array([["a reply" if differs else "an answer"]] * rows, object),
    }}
"""
ANSWER_TENSORS = """
inputs: [{name: x, datatype: FP32, shape: [-1, 1]}]
outputs:
  - {name: vector, datatype: FP32, shape: [-1, 4]}
  - {name: scores, datatype: FP32, shape: [-1, 3]}
  - {name: document, datatype: BYTES, shape: [-1, 1]}
  - {name: text, datatype: BYTES, shape: [-1, 1]}
warmUp: {data: "off"}
"""
STORY = """
import numpy as np

def predict(inputs, parameters):
    differs = {version} == 2 and inputs["x"].max() > 0
    for word in ("once", " upon", " a", " mattress" if differs else " time"):
        yield {{"word": np.array([word], object)}}
"""
STORY_TENSORS = """
decoupled: true
inputs: [{name: x, datatype: FP32, shape: [1]}]
outputs: [{name: word, datatype: BYTES, shape: [1]}]
warmUp: {data: "off"}
"""
KINDS = ("tensor", "label", "scores", "json", "text")
ROUTES = {
    "answer.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: answer}
spec:
  match: [{model: answer}]
  backends: [{name: stable, model: answer, version: "1"}]
  mirror:
    - {backend: tensor, model: answer, version: "2", percent: 100,
       compare: {kind: tensor, output: vector, atol: 1e-4, noiseFloor: stable, noiseSample: 100%}}
    - {backend: label, model: answer, version: "2", percent: 100,
       compare: {kind: label, output: scores}}
    - {backend: scores, model: answer, version: "2", percent: 100,
       compare: {kind: scores, output: scores, atol: 1e-4}}
    - {backend: json, model: answer, version: "2", percent: 100,
       compare: {kind: json, output: document, ignore: [/at]}}
    - {backend: text, model: answer, version: "2", percent: 100,
       compare: {kind: text, output: text}}
""",
    "story.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: story}
spec:
  match: [{model: story}]
  backends: [{name: stable, model: story, version: "1"}]
  mirror:
    - {backend: tokens, model: story, version: "2", percent: 100, compare: {kind: tokens}}
""",
}

Face = Callable[["Scene", float, dict[str, str]], None]


class Scene:
    """The mesh with its records, and the candidate that can be made to fail or be stopped."""

    def __init__(self, mesh: Mesh, candidate: Process, fail: Path) -> None:
        self.mesh = mesh
        self.candidate = candidate
        self.fail = fail
        self.store = open_store(
            load_config(mesh.file).store_url.render_as_string(hide_password=False)
        )

    def headers(self, trace: str) -> dict[str, str]:
        return {
            "authorization": f"Bearer {self.mesh.token('infer:*')}",
            "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        }

    def records(self, route: str, trace: str, count: int) -> dict[str, PairRecord]:
        """The records of one request, by mirror, when all are there."""
        found: dict[str, PairRecord] = {}

        def complete() -> bool:
            records = self.store.pairs.read(route, since=0.0)
            found.update({r.mirror: r for r in records if r.trace_id == trace})
            return len(found) >= count

        self.mesh.wait(complete, f"{count} records of {route}")
        return found


def write_version(repository: Path, name: str, version: int, code: str, tensors: str) -> None:
    write_model(repository / name, code, tensors)
    folder = repository / name / str(version)
    folder.mkdir()
    (repository / name / "model.py").rename(folder / "model.py")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("shadow")
    fail = folder / "fail"
    for version, repository in ((1, folder / "stable"), (2, folder / "candidate")):
        answer = ANSWER.format(version=version, fail=str(fail))
        write_version(repository, "answer", version, answer, ANSWER_TENSORS)
        write_version(repository, "story", version, STORY.format(version=version), STORY_TENSORS)
    with Mesh(folder, routes=ROUTES) as mesh:
        mesh.start_backend("stable", folder / "stable")
        candidate = mesh.start_backend("candidate", folder / "candidate")
        mesh.wait_ready(*[(name, version) for name in ("answer", "story") for version in "12"])
        scene = Scene(mesh, candidate, fail)
        yield scene
        scene.store.close()


# --- the faces ------------------------------------------------------------------------------------


def rest_json(scene: Scene, x: float, headers: dict[str, str]) -> None:
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [x]}]}
    reply = httpx.post(f"{scene.mesh.url}/v2/models/answer/infer", json=body, headers=headers)
    outputs = {each["name"]: each["data"] for each in reply.raise_for_status().json()["outputs"]}
    assert outputs["text"] == ["an answer"]


def rest_binary(scene: Scene, x: float, headers: dict[str, str]) -> None:
    tensor = triton_http.InferInput("x", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.full((1, 1), x, "f4"), binary_data=True)
    with triton_http.InferenceServerClient(scene.mesh.address("http")) as client:
        reply = client.infer("answer", [tensor], headers=headers)
    assert reply.as_numpy("vector").tolist() == [[1.0] * 4]


def grpc_unary(scene: Scene, x: float, headers: dict[str, str]) -> None:
    with triton_grpc.InferenceServerClient(scene.mesh.address("grpc")) as client:
        reply = client.infer("answer", [grpc_input(x, [1, 1])], headers=headers)
    assert reply.as_numpy("vector").tolist() == [[1.0] * 4]


def grpc_stream(scene: Scene, x: float, headers: dict[str, str]) -> None:
    (reply,) = streamed(scene, "answer", grpc_input(x, [1, 1]), headers, parts=1)
    assert reply.as_numpy("vector").tolist() == [[1.0] * 4]


def generate_stream(scene: Scene, x: float, headers: dict[str, str]) -> None:
    (event,) = events(scene, "answer", {"x": x}, headers)
    assert event["text"] == "an answer"


def story_by_grpc(scene: Scene, x: float, headers: dict[str, str]) -> None:
    replies = streamed(scene, "story", grpc_input(x, [1]), headers, parts=4)
    words = [reply.as_numpy("word")[0].decode() for reply in replies]
    assert "".join(words) == "once upon a time"


def story_by_events(scene: Scene, x: float, headers: dict[str, str]) -> None:
    words = [event["word"] for event in events(scene, "story", {"x": x}, headers)]
    assert "".join(words) == "once upon a time"


def grpc_input(x: float, shape: list[int]) -> triton_grpc.InferInput:
    tensor = triton_grpc.InferInput("x", shape, "FP32")
    tensor.set_data_from_numpy(np.full(shape, x, "f4"))
    return tensor


def streamed(
    scene: Scene, model: str, tensor: triton_grpc.InferInput, headers: dict[str, str], *, parts: int
) -> list[triton_grpc.InferResult]:
    """The answers on a stream of its own, which ends when so many have come."""
    answers: Queue[tuple[triton_grpc.InferResult, Exception | None]] = Queue()
    with triton_grpc.InferenceServerClient(scene.mesh.address("grpc")) as client:
        client.start_stream(lambda result, error: answers.put((result, error)), headers=headers)
        client.async_stream_infer(model, [tensor])
        found = [answers.get(timeout=10.0) for _ in range(parts)]
        client.stop_stream()
    assert [error for _, error in found] == [None] * parts
    return [result for result, _ in found]


def events(scene: Scene, model: str, body: object, headers: dict[str, str]) -> list[dict[str, str]]:
    url = f"{scene.mesh.url}/v2/models/{model}/generate_stream"
    reply = httpx.post(url, json=body, headers=headers).raise_for_status()
    lines = reply.text.splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


# --- what is recorded -----------------------------------------------------------------------------


@pytest.mark.parametrize("differs", [False, True], ids=["same", "different"])
@pytest.mark.parametrize("face", [rest_json, rest_binary, grpc_unary, grpc_stream, generate_stream])
def test_every_face_is_mirrored_and_every_kind_of_comparison_made(
    scene: Scene, face: Face, differs: bool
) -> None:
    trace = secrets.token_hex(16)
    face(scene, 1.0 if differs else 0.0, scene.headers(trace))

    records = scene.records("answer", trace, len(KINDS))
    for kind in KINDS:
        record = records[kind]
        assert (record.kind, record.status) == (kind, "compared"), record.outcome.reason
        assert record.outcome.agrees is not differs
        assert (record.arm, record.primary_version, record.version) == ("stable", "1", "2")
        assert record.tenant == "tests"
        assert record.primary.parts == record.candidate.parts == 1
        assert record.candidate.seconds > 0.0
    noise = records["tensor"].noise
    assert noise is not None
    assert noise.agrees is True
    assert records["label"].noise is None


@pytest.mark.parametrize("differs", [False, True], ids=["same", "different"])
@pytest.mark.parametrize("face", [story_by_grpc, story_by_events])
def test_streams_are_mirrored_and_compared_as_tokens(
    scene: Scene, face: Face, differs: bool
) -> None:
    trace = secrets.token_hex(16)
    face(scene, 1.0 if differs else 0.0, scene.headers(trace))

    record = scene.records("story", trace, 1)["tokens"]
    assert record.status == "compared", record.outcome.reason
    assert record.outcome.agrees is not differs
    assert record.primary.parts >= 4
    assert record.primary.parts == record.candidate.parts


def test_a_refused_request_is_no_evidence(scene: Scene) -> None:
    trace = secrets.token_hex(16)
    body = {"inputs": [{"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [0.0]}]}
    reply = httpx.post(
        f"{scene.mesh.url}/v2/models/answer/infer", json=body, headers=scene.headers(trace)
    )
    assert reply.status_code == 400
    records = scene.records("answer", trace, len(KINDS))
    assert {record.status for record in records.values()} == {"primary_failed"}


# --- candidates that are no good ------------------------------------------------------------------


def test_a_candidate_that_fails_is_recorded_and_not_seen(scene: Scene) -> None:
    trace = secrets.token_hex(16)
    scene.fail.touch()
    try:
        rest_json(scene, 1.0, scene.headers(trace))
        records = scene.records("answer", trace, len(KINDS))
    finally:
        scene.fail.unlink()
    for record in records.values():
        assert (record.status, record.candidate.error) == ("candidate_failed", "model_failed")


def test_a_stopped_candidate_slows_nobody_down_and_a_dead_one_fails_nobody(scene: Scene) -> None:
    """Last, as it ends the candidate."""
    scene.candidate.signal(signal.SIGSTOP)
    try:
        with scene.mesh.client("infer:*") as client:
            stopped = [timed(client) for _ in range(100)]
    finally:
        scene.candidate.signal(signal.SIGCONT)
    # Generous, as the machine may be busy: whoever waited for a copy would wait for seconds.
    assert sorted(stopped)[95] < 0.25

    scene.candidate.kill()
    trace = secrets.token_hex(16)
    rest_json(scene, 1.0, scene.headers(trace))
    records = scene.records("answer", trace, len(KINDS))
    assert {record.status for record in records.values()} <= {"candidate_failed", "dropped"}


def timed(client: httpx.Client) -> float:
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0.0]}]}
    begun = time.monotonic()
    client.post("/v2/models/answer/infer", json=body).raise_for_status()
    return time.monotonic() - begun
