"""Two gateways on one backend that keep answers and share them, and how tests ask them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from chaos.mesh import Mesh
from policies.tokens import issue
from tests.integration import mesh_models as models

# Answers with how often it was executed; `first` is where it begins to count.
COUNTS = """
import numpy as np

n = {first}

def predict(inputs):
    global n
    n += 1
    return {{"n": np.full(inputs["x"].shape, n, np.int32)}}
"""
CONFIG = """
inputs: [{name: x, datatype: FP32, shape: [-1, 1]}]
outputs: [{name: n, datatype: INT32, shape: [-1, 1]}]
warmUp: {data: "off"}
"""
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: {name}}}
spec:
  match: [{{model: {name}}}]
  backends: [{{name: stable, model: {model}}}]
  cache: {{ttl: 10m, verify: "0%"}}
"""


# Routes by name, with the models that serve them.
ROUTES = {"counts": "counts", "again": "counts", "slow": "slow", "count": "count"}


@contextmanager
def gateways(folder: Path, store: str) -> Iterator[tuple[Mesh, Mesh]]:
    """Both, and the backend, which serve when this is entered; `store` is a Redis server's URL."""
    repository = folder / "models"
    models.write_model(repository / "counts", COUNTS.format(first=0), CONFIG)
    models.write_slow(repository, folder / "slow-ran", folder / "release")
    models.write_count(repository, folder / "count-ran")
    key = folder / "cache-key"
    key.write_text("a key that both gateways have")
    more = f"""
state: {{url: "{store}"}}
cache: {{keyFile: {key}}}
"""
    routes = {
        f"{name}.yaml": ROUTE.format(name=name, model=model) for name, model in ROUTES.items()
    }
    second = folder / "second"
    second.mkdir()
    with (
        Mesh(folder, routes=routes, more=more) as one,
        Mesh(second, routes=routes, more=more, secret=one.secret) as other,
    ):
        join = f"{one.address('discovery')},{other.address('discovery')}"
        one.start_backend("only", repository, join=join)
        for each in (one, other):
            each.wait_ready(("counts", "1"), ("slow", "1"), ("count", "1"))
        yield one, other


@cache
def client() -> httpx.Client:
    """One for all: each of them reads the machine's certificates."""
    return httpx.Client(timeout=60.0)


def bearer(mesh: Mesh, tenant: str = "acme") -> str:
    token = issue(
        mesh.issuer,
        tenant=tenant,
        scopes=("infer:*",),
        subject="s",
        lifetime=600.0,
        now=mesh.now(),
    )
    return f"Bearer {token}"


def ask(
    mesh: Mesh, value: float, *, model: str = "counts", tenant: str = "acme", **headers: str
) -> httpx.Response:
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [value]}]}
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return client().post(
        f"{mesh.url}/v2/models/{model}/infer",
        json=body,
        headers={"authorization": bearer(mesh, tenant), **named},
    )


def counted(answer: httpx.Response) -> int:
    number: int = answer.raise_for_status().json()["outputs"][0]["data"][0]
    return number


def total(mesh: Mesh, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(mesh.metrics())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
