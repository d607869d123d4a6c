"""Rollouts on a real mesh: a canary that fails is rolled back by itself, a person opens gates."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from chaos.mesh import Mesh
from tests.command_line import penstock
from tests.integration import mesh_models as models

BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0]}]}
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: {name}}}
spec:
  match: [{{model: {name}}}]
  backends:
    - {{name: stable, model: {name}, version: "1", weight: 50}}
    - {{name: canary, model: {name}, version: "2", weight: 50}}
  rollout:
    steps: {steps}
    analysis:
      baseline: stable
      minSamples: 20
      metrics: [{{name: error_rate, maxDelta: 5pp}}]
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("rollout")
    for name in ("risky", "gated"):
        models.write_versions(folder / "models", name, (1, 2))
    with Mesh(folder, workers=2) as mesh:
        mesh.start_backend("only", folder / "models")
        mesh.wait_ready(*((name, version) for name in ("risky", "gated") for version in "12"))
        yield mesh


def status(mesh: Mesh, route: str) -> dict[str, Any]:
    rows = mesh.admin("GET", "/admin/rollouts").raise_for_status().json()["rollouts"]
    found: dict[str, Any] = next((row for row in rows if row["route"] == route), {})
    return found


class Load:
    """Four callers until told to stop; what was answered, by version or as an error.

    They pause, as there is other work for the machine.
    """

    def __init__(self, mesh: Mesh, model: str) -> None:
        self._mesh = mesh
        self._path = f"/v2/models/{model}/infer"
        self._stop = threading.Event()
        self.answers: list[str] = []

    def __enter__(self) -> "Load":
        self._pool = ThreadPoolExecutor(4)
        self._calls = [self._pool.submit(self._ask) for _ in range(4)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for call in self._calls:
            call.result()

    def newest(self, condition: Callable[[list[str]], bool], count: int = 60) -> bool:
        return len(self.answers) > count and condition(self.answers[-count:])

    def _ask(self) -> None:
        headers = {"authorization": f"Bearer {self._mesh.token('infer:*')}"}
        while not self._stop.wait(0.02):
            try:
                # A connection each, so that both workers get some.
                answer = httpx.post(f"{self._mesh.url}{self._path}", json=BODY, headers=headers)
            except httpx.TransportError:  # while the gateway is started again
                continue
            if answer.status_code == 200:
                self.answers.append(answer.json()["model_version"])
            else:
                self.answers.append("error")


def test_a_failing_canary_is_rolled_back_by_itself_and_stays_so(mesh: Mesh) -> None:
    steps = "[{setWeight: 50}, {analysis: {for: 1h}}]"
    mesh.write_route("risky.yaml", ROUTE.format(name="risky", steps=steps))
    mesh.wait(lambda: status(mesh, "risky").get("weight") == 50, "the first step")

    with Load(mesh, "risky") as load:
        mesh.wait(lambda: load.newest(lambda some: "2" in some), "the canary to serve")
        (mesh.folder / "risky-2-fails").touch()
        mesh.wait(lambda: status(mesh, "risky")["status"] == "rolled_back", "the rollback")
        mesh.wait(lambda: load.newest(lambda some: set(some) == {"1"}), "the canary to be idle")
        told = status(mesh, "risky")

        assert "error_rate" in told["reason"]
        assert told["weight"] == 0
        assert told["history"][0]["actor"] == "controller"

        # All of it is in the store: another gateway process finds it as it was.
        mesh.gateway.stop()
        mesh.start_gateway()
        mesh.wait_ready(("risky", "1"))
        load.answers.clear()
        mesh.wait(lambda: load.newest(lambda some: "1" in some), "requests to be served")

    assert status(mesh, "risky")["status"] == "rolled_back"
    assert "2" not in load.answers


def test_a_person_opens_a_gate_and_is_named(mesh: Mesh) -> None:
    steps = "[{setWeight: 10}, {pause: {}}]"
    mesh.write_route("gated.yaml", ROUTE.format(name="gated", steps=steps))
    mesh.wait(lambda: status(mesh, "gated").get("status") == "waiting", "the gate")

    assert json.loads(told(mesh, "rollout", "status", "gated", "--json"))
    told(mesh, "rollout", "resume", "gated")

    mesh.wait(lambda: status(mesh, "gated")["status"] == "completed", "the end")
    with Load(mesh, "gated") as load:
        mesh.wait(lambda: load.newest(lambda some: set(some) == {"2"}), "the canary to have all")
    assert any("@" in event["actor"] for event in status(mesh, "gated")["history"])
    # There is nothing left to abort.
    refused = mesh.admin("POST", "/admin/rollouts/gated/abort")
    assert refused.status_code == 400
    assert "completed" in refused.json()["error"]


def told(mesh: Mesh, *arguments: str) -> str:
    done = penstock(*arguments, "--config", str(mesh.file))
    done.check_returncode()
    return done.stdout
