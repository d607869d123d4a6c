"""The first afternoon on Kubernetes, on this machine: what the chart makes and the commands of
docs/deploy.md, with processes instead of pods."""

import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import grpc
import httpx
import pytest
import yaml

from backends.health import STARTUP
from chaos.mesh import FACES, LOOK
from chaos.ports import free_ports
from chaos.processes import PATIENCE, Process
from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub
from protos.orphans import die_with
from tests import servers
from tests.deploy.rendered import DEPLOY, objects, of_kind
from tests.deploy.watched_mesh import answers
from tests.integration.mesh_models import write_instances

# The probe of the images.
PROBE = runpy.run_path(str(DEPLOY / "images" / "healthy.py"))["serving"]
WHO = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0]}]}


class Production:
    """A gateway as the chart configures it, but for its addresses and what it shares."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        maps = of_kind(objects({"podNetworks": ["127.0.0.0/8"]}), "ConfigMap")
        config = yaml.safe_load(maps["penstock-gateway"]["data"]["penstock.yaml"])
        self.ports = dict(zip(FACES, free_ports(len(FACES)), strict=True))
        for face, port in self.ports.items():
            config["listeners"][face]["address"] = f"127.0.0.1:{port}"
        del config["store"], config["state"]
        keys = folder / "keys"
        keys.mkdir()
        # As `head -c 32 /dev/urandom | base64` writes them into the secret.
        for name in ("api-keys", "cache", "privacy", "audit", "decisions"):
            (keys / name).write_bytes(os.urandom(32).hex().encode())
            (keys / name).chmod(0o600)
        (folder / "routes").mkdir()
        text = yaml.safe_dump(config)
        for there, here in (
            ("/etc/penstock/secrets/penstock-keys", keys),
            ("/etc/penstock/routes", folder / "routes"),
            ("/var/lib/penstock", folder / "state"),
        ):
            text = text.replace(there, str(here))
        self.file = folder / "penstock.yaml"
        self.file.write_text(text)
        self.join = self.key("backend:join")
        self.everything = self.key("infer:*", "metrics", "admin")

    def command(self, *arguments: str, token: str = "") -> str:
        """What `kubectl exec deploy/penstock-gateway -- penstock …` prints."""
        done = subprocess.run(
            [Path(sys.executable).with_name("penstock"), *arguments],
            env={
                **os.environ,
                "PENSTOCK_CONFIG": str(self.file),
                **({"PENSTOCK_ADMIN_TOKEN": token} if token else {}),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def key(self, *scopes: str) -> str:
        wishes = ["--tenant", "acme", "--name", "some", "--lifetime", "never"]
        return self.command("keys", "create", *wishes, *(f"--scope={each}" for each in scopes))

    def url(self, face: str) -> str:
        return f"http://127.0.0.1:{self.ports[face]}"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """A gateway, and a backend that has joined it with a key."""
    folder = tmp_path_factory.mktemp("production")
    made = Production(folder)
    processes = [Process("gateway", ["gateway", "serve", "--config", str(made.file)], folder)]
    try:
        (folder / "join").write_text(made.join)
        write_instances(folder / "models")
        where = ["--join", f"127.0.0.1:{made.ports['discovery']}"]
        where += ["--join-token-file", str(folder / "join"), "--name", "python-0"]
        what = ["python", "--model-repository", str(folder / "models"), "--allow-code"]
        processes.append(Process("python", ["backends", *what, "--threads", "1", *where], folder))
        until(lambda: answers(f"{made.url('http')}/v2/health/ready"), processes)
        yield made
    finally:
        for process in reversed(processes):
            process.stop()


def test_a_backend_that_nobody_lets_in_starts_and_is_never_ready(here: Production) -> None:
    (here.folder / "wrong").write_text(here.everything)
    (port,) = free_ports(1)
    what = ["python", "--model-repository", str(here.folder / "models"), "--allow-code"]
    where = ["--join", f"127.0.0.1:{here.ports['discovery']}", "--listen", f"127.0.0.1:{port}"]
    where += ["--join-token-file", str(here.folder / "wrong"), "--name", "python-1"]
    process = Process("outside", ["backends", *what, "--threads", "1", *where], here.folder)
    try:
        until(lambda: serving(f"127.0.0.1:{port}", STARTUP), [process])
        until(lambda: "PERMISSION_DENIED" in process.last_words(), [process])
        assert not serving(f"127.0.0.1:{port}", "")
    finally:
        process.stop()


def ask(url: str, key: str) -> int:
    to = f"{url}/v2/models/who/infer"
    return httpx.post(to, json=WHO, headers={"x-api-key": key}).status_code


def test_a_clients_key_opens_models_and_that_of_backends_does_not(here: Production) -> None:
    assert ask(here.url("http"), here.everything) == 200
    assert ask(here.url("http"), here.join) == 404


def test_prometheus_and_administrators_are_let_in_by_theirs(here: Production) -> None:
    bearer = {"authorization": f"Bearer {here.everything}"}
    page = httpx.get(f"{here.url('admin')}/metrics", headers=bearer)
    assert 'penstock_endpoint_state{backend="python-0",state="ready"} 1' in page.text
    assert "penstock_decision_records_written_total" in page.text, "its key can't be used"
    assert "python-0" in here.command("endpoints", token=here.everything)


def test_the_balancer_of_compose_passes_rest_and_grpc_on(here: Production) -> None:
    haproxy = servers.program("haproxy")
    rest, grpc_port = free_ports(2)
    text = (DEPLOY / "compose" / "haproxy.cfg").read_text()
    for there, nearby in (
        ("server-template gateway 8 gateway:8000", f"server one 127.0.0.1:{here.ports['http']}"),
        ("server-template gateway 8 gateway:8001", f"server one 127.0.0.1:{here.ports['grpc']}"),
        ("bind :8000", f"bind 127.0.0.1:{rest}"),
        ("bind :8001", f"bind 127.0.0.1:{grpc_port}"),
        ("maxconn 8000", "maxconn 100"),  # whatever the limit of descriptors is here
        ("check port 8000", f"check port {here.ports['http']}"),
        ("init-addr none resolvers docker resolve-prefer ipv4", ""),  # there are addresses
    ):
        assert there in text
        text = text.replace(there, nearby)
    file = here.folder / "haproxy.cfg"
    file.write_text(text)
    log = here.folder / "haproxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [haproxy, "-db", "-f", file],
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(die_with, os.getpid()),
        )
    try:
        ready = f"http://127.0.0.1:{rest}/v2/health/ready"
        until(lambda: answers(ready), [], log)
        assert ask(f"http://127.0.0.1:{rest}", here.everything) == 200
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            stub = GRPCInferenceServiceStub(channel)
            assert stub.ServerReady(pb.ServerReadyRequest(), timeout=PATIENCE).ready
    finally:
        process.terminate()
        process.wait(20)


def serving(address: str, service: str) -> bool:
    try:
        return bool(PROBE(address, service))
    except grpc.RpcError:
        return False


def until(condition: Callable[[], bool], processes: list[Process], *logs: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        words = "\n".join(
            [*(each.last_words() for each in processes), *(each.read_text() for each in logs)]
        )
        assert time.monotonic() < end, words
        assert all(each.status is None for each in processes), words
        time.sleep(LOOK)
