"""The mesh that the pages' commands are run in: a small demo with the cookbook's routes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from chaos.mesh import Mesh
from protos.orphans import die_with
from tests.docs import quick_penstock
from tests.docs.pages import ROOT, blocks
from tests.docs.plugin_package import install
from tests.integration.mesh_models import write_model
from tests.openai_server import Server, serving
from tests.servers import program

MORE = "apiKeys: {secretFile: secrets/api-keys}\nrevocation: {store: true}\n"
DIGITS = """
import numpy as np

def predict(inputs):
    return {"scores": inputs["pixels"].reshape(len(inputs["pixels"]), -1)[:, :10]}
"""
DIGITS_YAML = """
inputs: [{name: pixels, datatype: FP32, shape: [-1, 8, 8]}]
outputs: [{name: scores, datatype: FP32, shape: [-1, 10]}]
"""
# Of models that are language models on the pages, and whose text or vectors don't matter here.
NAMES = {"assistant": "echo", "assistant:pirate": "echo", "tutor": "echo", "writer": "echo"}
NIGHT = """
apiVersion: penstock/v1
kind: Route
metadata: {name: night}
spec:
  match: [{model: night}]
  backends: [{name: main, model: digits, version: "1"}]
  plugins: [{policy: opening-hours, settings: {begin: 0, end: 0}}]
"""


def routes() -> dict[str, str]:
    """The cookbook's documents and the demo's, by file name."""
    cookbook = blocks(ROOT / "docs" / "cookbook.md")
    found = {
        f"{yaml.safe_load(each.text)['metadata']['name']}.yaml": each.text
        for each in cookbook
        if each.language == "yaml"
    }
    digits = (ROOT / "deploy" / "demo" / "routes" / "digits.yaml").read_text()
    # All of them, so that there is something to report at once.
    ranking = found["ranking.yaml"].replace("percent: 10", "percent: 100")
    return {**found, "ranking.yaml": ranking, "digits.yaml": digits, "night.yaml": NIGHT}


@contextmanager
def site(folder: Path) -> Iterator[Mesh]:
    """Everything that pages name lies in `folder`: penstock.yaml, models, a token, a program."""
    program("curl")
    packages = folder / "packages"
    packages.mkdir()
    install(packages)
    os.environ["PYTHONPATH"] = str(packages)
    with ExitStack() as stack:
        stack.callback(os.environ.pop, "PYTHONPATH")
        mesh = stack.enter_context(Mesh(folder, routes=routes(), more=MORE))
        _furnish(folder, mesh)
        stack.enter_context(_commands(folder))
        url = stack.enter_context(serving(Server()))
        named = [f"--model={name}={model}" for name, model in NAMES.items()]
        mesh.join_openai("language", url, *named, "--model=minilm=embed", "--revision=1")
        mesh.start_backend("python", _models(folder))
        mesh.start_backend("linear", _linear(folder), runtime="linear")
        mesh.wait_ready(("digits", "3"), ("ranking", "2"), ("minilm", "1"), ("linear", "1"))
        yield mesh


def _models(folder: Path) -> Path:
    made = folder / "some"
    for name, versions in (("digits", 3), ("ranking", 2)):
        write_model(made / name, DIGITS, DIGITS_YAML)
        code = made / name / "model.py"
        for version in range(1, versions + 1):
            (made / name / str(version)).mkdir()
            shutil.copy(code, made / name / str(version))
        code.unlink()
    return made


def _linear(folder: Path) -> Path:
    made = folder / "linear"
    made.mkdir()
    weights, bias = np.eye(2, dtype=np.float32) * 2, np.ones(2, np.float32)
    np.savez(made / "linear.npz", weights=weights, bias=bias)
    return made


def _furnish(folder: Path, mesh: Mesh) -> None:
    for name in (".penstock/demo/models", ".venv/bin", "deploy/demo", "secrets"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / ".penstock" / "token").write_text(mesh.token("infer:*"))
    (folder / "my_model.onnx").touch()
    shutil.copy(mesh.file, folder / "deploy" / "demo")
    shutil.copytree(mesh.routes, folder / "new-routes")
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)


@contextmanager
def _commands(folder: Path) -> Iterator[None]:
    """`penstock` in .venv/bin."""
    address = folder / "penstock.socket"
    quick_penstock.command(folder / ".venv" / "bin" / "penstock", address)
    serves = subprocess.Popen(
        [sys.executable, quick_penstock.__file__, str(address)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])},
        preexec_fn=partial(die_with, os.getpid()),
    )
    try:
        yield
    finally:
        serves.kill()
        serves.wait()
