"""The images, as far as they can be judged without building them: what they are made of is there,
what they start is right, and the probe in them tells well from unwell."""

import asyncio
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2_grpc

from backends.health import Health
from protos import discovery_pb2 as pb
from tests.deploy.rendered import DEPLOY, ROOT, objects, of_kind, pod

IMAGES = DEPLOY / "images"
DOCKERFILE = IMAGES / "Dockerfile"
BAKE = json.loads((IMAGES / "docker-bake.json").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TARGETS = {name: each for name, each in BAKE["target"].items() if name != "common"}
HEALTHY = IMAGES / "healthy.py"


def instructions(word: str) -> list[str]:
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    return [line.removeprefix(word).strip() for line in text.splitlines() if line.startswith(word)]


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, timeout=60)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_the_base_is_pinned_and_nothing_runs_as_root() -> None:
    (python,) = re.findall(r"^ARG PYTHON=(.*)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert re.fullmatch(r"3\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", python)
    stages = [line.split(" AS ") for line in instructions("FROM ")]
    assert {of for of, _ in stages} == {"python:${PYTHON}", "base", "backend"}
    assert instructions("USER ") == ["10001:10001", "0", "10001:10001"]
    final = DOCKERFILE.read_text().partition(" AS base")[2]
    assert "pip uninstall" in final
    assert "pip --python" not in final


def test_nothing_in_an_image_becomes_another_user() -> None:
    base = DOCKERFILE.read_text().partition(" AS base")[2].partition("FROM ")[0]
    assert "-perm /6000 -exec chmod a-s" in base


def test_only_what_runs_triton_has_a_compiler() -> None:
    text = DOCKERFILE.read_text().partition(" AS base")[2]
    before, _, stage = text.partition("FROM backend AS backend-triton")
    stage, _, after = stage.partition("FROM ")
    assert "apt-get" not in before + after
    assert "g++" in stage
    having = {name for name, each in TARGETS.items() if each["target"] == "backend-triton"}
    assert having == {"torch-cuda", "llm-cuda"}


def test_an_image_shows_itself_no_gpus() -> None:
    # On nodes whose default runtime is NVIDIA's it would see them around the device plugin.
    assert "NVIDIA_VISIBLE_DEVICES" not in DOCKERFILE.read_text()


def test_every_image_is_a_stage_with_extras_that_there_are() -> None:
    stages = {name for _, name in (line.split(" AS ") for line in instructions("FROM "))}
    extras = PROJECT["project"]["optional-dependencies"].keys()
    for name, target in TARGETS.items():
        assert target["target"] in stages, name
        assert {each for each in target["args"]["EXTRAS"].split(",") if each} <= extras, name
        assert target["args"]["VARIANT"] == ("cuda" if name.endswith("-cuda") else "cpu")
    grouped = {name for group in BAKE["group"].values() for name in group["targets"]}
    assert grouped == TARGETS.keys()


def test_every_image_that_the_chart_names_is_made() -> None:
    runtimes = ("torch", "onnx", "llm", "python", "openai")
    backends = [
        {"name": f"{runtime}-{count}", "runtime": runtime, "models": {}, "gpu": {"count": count}}
        for runtime in runtimes
        for count in (0, 1)
        if not count or runtime != "openai"
    ]
    found = of_kind(objects({"backends": backends}), "Deployment").values()
    named = {pod(each)["containers"][0]["image"] for each in found}
    assert named == {f"penstock-{name}:0.1.0" for name in TARGETS if name != "demo"}


def test_what_is_copied_is_there_and_let_through() -> None:
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    through = [each[1:] for each in patterns if each.startswith("!")]
    for line in instructions("COPY "):
        if "--from=" in line:
            continue
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(Path(source).is_relative_to(each) for each in through), source


def test_an_installed_penstock_has_all_of_its_packages_and_their_files() -> None:
    setuptools = PROJECT["tool"]["setuptools"]
    listed = set(setuptools["packages"])
    patterns = setuptools["package-data"]["*"]
    tops = {name.partition(".")[0] for name in listed}
    files = [path for top in tops for path in (ROOT / top).rglob("*") if path.is_file()]
    for path in files:
        if path.suffix in (".pyc", ".md"):
            continue
        package = ".".join(path.parent.relative_to(ROOT).parts)
        if path.suffix == ".py":
            assert package in listed, f"{package} is missing in pyproject.toml's packages"
        else:
            of = next(
                path.parents[n] for n in range(9) if (path.parents[n] / "__init__.py").exists()
            )
            inner = str(path.relative_to(of))
            assert any(fnmatch(inner, each) for each in patterns), f"{path} is in no package-data"


@asynccontextmanager
async def backend(state: str) -> AsyncIterator[str]:
    def beat(with_models: bool) -> pb.Beat:
        return pb.Beat(healthy=True, models=pb.ModelTable(models=[pb.Model(state=state)]))

    server = aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(Health(beat, lambda: True), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def ask(*urls: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, HEALTHY, *urls, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


@pytest.mark.parametrize(("state", "status"), [("READY", 0), ("LOADING", 1)])
async def test_the_probe_of_a_backend_is_whether_it_has_a_model(state: str, status: int) -> None:
    async with backend(state) as url:
        assert await ask(url) == status


async def test_the_probe_of_a_gateway_is_whether_it_answers() -> None:
    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/v2/health/live" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}/v2/health"
        assert [await ask(f"{here}/live"), await ask(f"{here}/ready")] == [0, 1]
        assert await ask(here.replace("http", "https") + "/live", f"{here}/live") == 0
        server.shutdown()
    assert await ask(f"{here}/live") == 1
