"""The first afternoon on Kubernetes, on this machine: what the chart makes and the commands of
docs/deploy.md, with processes instead of pods."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import yaml

from tests.deploy.rendered import objects, of_kind
from tests.deploy.watched_mesh import answers
from tests.integration.mesh import FACES, LOOK, PATIENCE, Process, free_ports
from tests.integration.mesh_models import write_instances

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
        for name in ("api-keys", "cache", "privacy", "audit"):
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


def test_keys_join_backends_and_let_clients_prometheus_and_administrators_in(
    tmp_path: Path,
) -> None:
    here = Production(tmp_path)
    processes = [Process("gateway", ["gateway", "serve", "--config", str(here.file)], tmp_path)]
    try:
        join, everything = here.key("backend:join"), here.key("infer:*", "metrics", "admin")
        (tmp_path / "join").write_text(join)
        write_instances(tmp_path / "models")
        where = ["--join", f"127.0.0.1:{here.ports['discovery']}"]
        where += ["--join-token-file", str(tmp_path / "join"), "--name", "python-0"]
        what = ["python", "--model-repository", str(tmp_path / "models"), "--allow-code"]
        processes.append(Process("python", ["backends", *what, "--threads", "1", *where], tmp_path))
        ready = f"{here.url('http')}/v2/health/ready"
        until(lambda: answers(ready), processes)

        def ask(key: str) -> int:
            url = f"{here.url('http')}/v2/models/who/infer"
            return httpx.post(url, json=WHO, headers={"x-api-key": key}).status_code

        assert ask(everything) == 200
        assert ask(join) == 404, "what may join may not ask"
        bearer = {"authorization": f"Bearer {everything}"}
        page = httpx.get(f"{here.url('admin')}/metrics", headers=bearer)
        assert 'penstock_endpoint_state{backend="python-0",state="ready"} 1' in page.text
        assert "python-0" in here.command("endpoints", token=everything)
    finally:
        for process in reversed(processes):
            process.stop()


def until(condition: Callable[[], bool], processes: list[Process]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        words = "\n".join(each.last_words() for each in processes)
        assert time.monotonic() < end, words
        assert all(each.status is None for each in processes), words
        time.sleep(LOOK)
