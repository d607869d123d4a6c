"""A mesh in which everything happens that dashboards and alerts are about, and a real Prometheus
that watches it."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from os import getpid
from pathlib import Path
from typing import Any

import httpx
import yaml

from chaos.mesh import Mesh
from chaos.ports import free_ports
from protos.orphans import die_with
from tests import servers, tiny_llama
from tests.deploy.rendered import DEPLOY
from tests.integration.mesh_models import write_fails, write_model, write_versions

SCRAPE = "1s"

# Says what it was told.
SAY = """
def predict(inputs):
    return {"said": inputs["text"]}
"""
SAY_YAML = """
inputs: [{name: text, datatype: BYTES, shape: [-1, 1]}]
outputs: [{name: said, datatype: BYTES, shape: [-1, 1]}]
"""

ROUTES = {
    "tell.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: tell}
spec:
  match: [{model: tell}]
  backends:
    - {name: stable, model: tell, version: "1", weight: 50}
    - {name: canary, model: tell, version: "2", weight: 50}
  mirror: [{backend: shadow, model: tell, version: "2", percent: 100, compare: {kind: auto}}]
""",
    "kept.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: kept}
spec:
  match: [{model: kept}]
  backends: [{name: only, model: tell, version: "1"}]
  cache: {ttl: 5m}
""",
    "few.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: few}
spec:
  match: [{model: few}]
  backends: [{name: only, model: tell, version: "1"}]
  limits: [{per: tenant, requests: 2/1s}]
""",
    "say.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: say}
spec:
  match: [{model: say}]
  backends: [{name: only, model: say}]
  privacy: {policy: people}
""",
    "people.yaml": """
apiVersion: penstock/v1
kind: Privacy
metadata: {name: people}
spec:
  default: {action: restore}
""",
    "chat.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: chat}
spec:
  match: [{model: chat}]
  backends: [{name: only, model: tiny}]
""",
}


class Watched:
    """The mesh and Prometheus' answers."""

    def __init__(self, mesh: Mesh, prometheus: str) -> None:
        self._prometheus = httpx.Client(base_url=prometheus, timeout=30.0)
        self._client = mesh.client("infer:*")
        self._mesh = mesh

    def ask(self) -> None:
        """One round of everything that clients do."""
        rows = [[1.0], [2.0]]
        for model in ("tell", "tell", "kept", "kept", "few", "few", "few", "few"):
            self._infer(model, "x", "FP32", rows)
        self._infer("say", "text", "BYTES", [["write to ann@example.org"]])
        self._infer("fails", "x", "FP32", [1.0])
        chat = {
            "model": "chat",
            "messages": [{"role": "user", "content": "one two one two one two one"}],
            "max_tokens": 12,
            "temperature": 0,
            "ignore_eos": True,
        }
        for stream in (True, False):
            self._client.post("/v1/chat/completions", json={**chat, "stream": stream})

    def values(self, query: str) -> list[float]:
        """What a query says now, without what is no number; raises for what is no PromQL."""
        answer = self._prometheus.get("/api/v1/query", params={"query": query})
        found = answer.json()
        if found["status"] != "success":
            raise ValueError(f"{query}: {found['error']}")
        numbers = [float(each["value"][1]) for each in found["data"]["result"]]
        return [each for each in numbers if each == each]

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        self._mesh.wait(condition, what)

    def _infer(self, model: str, name: str, datatype: str, data: Any) -> None:
        shape = [len(data), 1] if isinstance(data[0], list) else [len(data)]
        tensor = {"name": name, "datatype": datatype, "shape": shape, "data": data}
        self._client.post(f"/v2/models/{model}/infer", json={"inputs": [tensor]})


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """Python models and a language model, behind routes of every kind."""
    program = servers.program("prometheus")
    models = folder / "models"
    models.mkdir()
    write_versions(models, "tell", (1, 2))
    write_fails(models)
    write_model(models / "say", SAY, SAY_YAML)
    tiny_llama.write(folder / "language" / "tiny")
    with Mesh(folder, routes=ROUTES) as mesh:
        mesh.start_backend("python", models)
        flags = ("--memory-budget", "2MiB", "--block-size", "8", "--speculate", "3")
        mesh.start_backend("llm", folder / "language", *flags, runtime="llm")
        (port,) = free_ports(1)
        with started(program, folder, mesh, port) as url:
            mesh.wait_ready(("tell", "1"), ("tell", "2"), ("say", "1"), ("fails", "1"))
            mesh.wait_ready(("tiny", "1"))
            yield Watched(mesh, url)


@contextmanager
def started(program: Path, folder: Path, mesh: Mesh, port: int) -> Iterator[str]:
    """Prometheus with the rules that are shipped; its URL."""
    (folder / "metrics-token").write_text(mesh.token("metrics"))
    job = {
        "job_name": "penstock",
        "authorization": {"credentials_file": str(folder / "metrics-token")},
        "static_configs": [{"targets": [mesh.address("admin")]}],
    }
    config = {
        "global": {"scrape_interval": SCRAPE, "evaluation_interval": SCRAPE},
        "rule_files": [str(DEPLOY / "prometheus" / "alerts.yml")],
        "scrape_configs": [job],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/prometheus",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(die_with, getpid()),
        )
    try:
        url = f"http://127.0.0.1:{port}"
        mesh.wait(lambda: answers(f"{url}/-/ready"), "Prometheus to be ready")
        yield url
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
