"""One model in three frameworks at once: each backend serves its own versions under one name."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton
from onnx import TensorProto, helper

from chaos.mesh import Mesh
from tests.integration.mesh_models import write_model

# Version by version y = x + version.
PYTHON = """
def predict(inputs):
    return {"y": inputs["x"] + 1}
"""
TENSORS = """
inputs: [{name: x, datatype: FP32, shape: [-1, 3]}]
outputs: [{name: y, datatype: FP32, shape: [-1, 3]}]
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("frameworks")
    repository = folder / "models"
    write_model(repository / "add", PYTHON, TENSORS)
    (repository / "add" / "1").mkdir()
    (repository / "add" / "model.py").rename(repository / "add" / "1" / "model.py")
    _write_onnx(repository / "add" / "2" / "model.onnx")
    _write_torch(repository / "add" / "3" / "model.pt2")
    with Mesh(folder) as mesh:
        for runtime in ("python", "onnx", "torch"):
            mesh.start_backend(runtime, repository, runtime=runtime)
        mesh.wait_ready(("add", "1"), ("add", "2"), ("add", "3"))
        yield mesh


@pytest.fixture(scope="module")
def rest(mesh: Mesh) -> Iterator[httpx.Client]:
    with mesh.client("infer:*") as client:
        yield client


def _write_onnx(path: Path) -> None:
    path.parent.mkdir(parents=True)
    shape = ["rows", 3]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "two"], ["y"])],
        "add",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))


def _write_torch(path: Path) -> None:
    import torch  # seconds; only where it is needed

    class Add(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"y": x + 3}

    path.parent.mkdir(parents=True)
    rows = torch.export.Dim("rows", max=64)
    program = torch.export.export(Add(), (torch.zeros(2, 3),), dynamic_shapes={"x": {0: rows}})
    torch.export.save(program, path)


def infer(rest: httpx.Client, place: str) -> list[float]:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [10, 20, 30]}
    reply = rest.post(f"/v2/models/add{place}/infer", json={"inputs": [tensor]})
    found: list[float] = reply.raise_for_status().json()["outputs"][0]["data"]
    return found


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_version_is_a_pin(rest: httpx.Client, version: int) -> None:
    assert infer(rest, f"/versions/{version}") == [10 + version, 20 + version, 30 + version]


def test_without_a_version_the_highest_serves(rest: httpx.Client) -> None:
    assert infer(rest, "") == [13, 23, 33]


def test_grpc_pins_too(mesh: Mesh) -> None:
    tensor = triton.InferInput("x", [2, 3], "FP32")
    tensor.set_data_from_numpy(np.zeros((2, 3), "f4"))
    headers = {"authorization": f"Bearer {mesh.token('infer:*')}"}

    with triton.InferenceServerClient(mesh.address("grpc")) as client:
        found = [
            client.infer("add", [tensor], model_version=version, headers=headers)
            for version in ("1", "2", "3")
        ]

    assert [each.get_response().model_version for each in found] == ["1", "2", "3"]
    assert [each.as_numpy("y")[1, 2] for each in found] == [1, 2, 3]


def test_the_metadata_tell_all_versions_and_the_platform(rest: httpx.Client) -> None:
    newest = rest.get("/v2/models/add").json()
    platforms = {
        rest.get(f"/v2/models/add/versions/{version}").json()["platform"] for version in (1, 2, 3)
    }

    assert newest["versions"] == ["1", "2", "3"]
    assert len(platforms) == 3


def test_direct_clients_are_let_in_only_where_the_operator_opened_the_backend(mesh: Mesh) -> None:
    row = mesh.instance("onnx")
    assert row is not None
    with (
        triton.InferenceServerClient(row["address"]) as client,
        pytest.raises(triton.InferenceServerException, match="UNAUTHENTICATED"),
    ):
        client.get_model_metadata("add")

    mesh.start_backend("open", mesh.folder / "models", "--open", runtime="onnx")
    mesh.wait_ready(("add", "2"), instances=2)
    row = mesh.instance("open")
    assert row is not None
    tensor = triton.InferInput("x", [1, 3], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 3), "f4"))
    with triton.InferenceServerClient(row["address"]) as client:
        assert client.infer("add", [tensor]).as_numpy("y").tolist() == [[2, 2, 2]]


def test_a_model_that_is_dropped_in_is_served(mesh: Mesh, rest: httpx.Client) -> None:
    write_model(mesh.folder / "models" / "late", PYTHON, TENSORS)

    mesh.wait_ready(("late", "1"))
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}

    reply = rest.post("/v2/models/late/infer", json={"inputs": [tensor]})
    assert reply.raise_for_status().json()["outputs"][0]["data"] == [2, 3, 4]


def test_what_cannot_be_loaded_is_in_the_index_with_its_reason(
    mesh: Mesh, rest: httpx.Client
) -> None:
    folder = mesh.folder / "models" / "broken"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"no model")

    def found() -> dict[str, str]:
        rows = json.loads(rest.post("/v2/repository/index").content)
        return next((row for row in rows if row["name"] == "broken"), {})

    mesh.wait(lambda: found().get("state") == "UNAVAILABLE", "the broken model to be noticed")
    assert found()["reason"]
    reply = rest.post("/v2/models/broken/infer", json={"inputs": []})
    assert reply.status_code in (400, 503)
