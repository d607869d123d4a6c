"""What a soak runs on: a gateway of two workers with every policy on, and three small models."""

from pathlib import Path

from chaos.mesh import Mesh
from chaos.site import VERSION
from chaos.timed import Timed

WORKERS = 2
TEXT, COUNT = "said", "count"
ROW = 0.004  # seconds of the device for a row
NOISY = "noisy"  # the tenant that asks for more than it may
EVERY_ROUTE = "timed.yaml"

SETTINGS = """
audit: {{keyFile: {folder}/audit.key, strangers: 3}}
cache: {{memory: 4MiB}}
fairness: {{weights: {{t0: 4}}}}
telemetry: {{slow: 50ms, logs: {{sample: 10%}}}}
usage: {{tenants: [t0, t1]}}
"""
_SAID = """
def predict(inputs):
    return {"text": inputs["text"]}
"""
_SAID_TENSORS = """
inputs: [{name: text, datatype: BYTES, shape: [-1, 1]}]
outputs: [{name: text, datatype: BYTES, shape: [-1, 1]}]
warmUp: {data: "off"}
"""
_COUNT = """
import time

import numpy as np


def predict(inputs, parameters):
    for part in range(int(inputs["n"][0])):
        time.sleep(0.01)
        yield {"part": np.array([part], np.int32)}
"""
_COUNT_TENSORS = """
decoupled: true
inputs: [{name: n, datatype: INT32, shape: [1]}]
outputs: [{name: part, datatype: INT32, shape: [1]}]
warmUp: {data: "off"}
"""
_PRIVACY = """
apiVersion: penstock/v1
kind: Privacy
metadata: {name: people}
spec:
  default: {action: restore}
"""
_OUTPUT = """
apiVersion: penstock/v1
kind: Output
metadata: {name: clean}
spec:
  patterns: [{name: PROJECT, pattern: 'project [a-z]+', action: mask, text: '[project]'}]
"""
_TIMED = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: timed}}
spec:
  match: [{{model: timed}}]
  backends: [{{name: stable, model: timed, weight: {weight}}}, {{name: canary, model: timed}}]
  sticky: {{key: tenant, salt: soak}}
  timeouts: {{total: 5s}}
  retries: {{max: 2, budget: 10%, hedgeAfter: p95}}
  limits: [{{per: tenant, tenants: [noisy], requests: 3/s}}, {{per: tenant, requests: 1000/s}}]
  mirror: [{{backend: copy, model: timed, percent: 5, compare: {{kind: tensor}}}}]
"""
_KEPT = """
apiVersion: penstock/v1
kind: Route
metadata: {name: kept}
spec:
  match: [{model: kept}]
  backends: [{name: stable, model: timed}]
  cache: {ttl: 10s, verify: 1%}
"""
_SAID_ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {name: said}
spec:
  match: [{model: said}]
  backends: [{name: stable, model: said}]
  privacy: {policy: people}
  output: {policy: clean}
  audit: {payloads: 10%}
"""


def repository(folder: Path) -> Path:
    """Writes the models."""
    timed = Timed(folder / "models", ROW)
    for name, code, tensors in (
        (TEXT, _SAID, _SAID_TENSORS),
        (COUNT, _COUNT, _COUNT_TENSORS),
    ):
        model = timed.repository / name
        model.mkdir()
        (model / "model.py").write_text(code)
        (model / "model.yaml").write_text(tensors)
    return timed.repository


def timed_route(weight: int) -> str:
    """The route of the model that is asked most; each weight is another document."""
    return _TIMED.format(weight=weight)


def gateway(folder: Path) -> Mesh:
    (folder / "audit.key").write_text("0123456789abcdef" * 2)
    documents = {
        EVERY_ROUTE: timed_route(90),
        "kept.yaml": _KEPT,
        "said.yaml": _SAID_ROUTE,
        "people.yaml": _PRIVACY,
        "clean.yaml": _OUTPUT,
    }
    more = SETTINGS.format(folder=folder)
    return Mesh(folder, workers=WORKERS, routes=documents, more=more)


def wait_ready(mesh: Mesh, instances: int) -> None:
    models = [(name, VERSION) for name in ("timed", TEXT, COUNT)]
    mesh.wait_ready(*models, instances=instances)
