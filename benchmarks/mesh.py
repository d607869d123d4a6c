"""Penstock's own processes as a benchmark wants them: gateways, and backends that join them all."""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import credentials
from benchmarks.processes import Child, free_ports, wait_for_port
from gateway.client import GatewayClient
from gateway.config import load_config
from protos.errors import PenstockError


@dataclass(frozen=True, slots=True)
class Gateway:
    child: Child
    config: Path
    http: int
    grpc: int
    discovery: int

    def wait_for(self, model: str, backends: Sequence[Child], seconds: float = 120.0) -> None:
        """Returns once all the backends serve the model; raises TimeoutError or RuntimeError."""
        asyncio.run(self._wait_for(model, backends, seconds))

    async def _wait_for(self, model: str, backends: Sequence[Child], seconds: float) -> None:
        until = time.monotonic() + seconds
        config = load_config(self.config)
        async with GatewayClient(config, lambda: credentials.token("admin")) as client:
            while True:
                for child in (self.child, *backends):
                    child.check()
                try:
                    found = await client.instances()
                except PenstockError:
                    found = []
                states = [m for i in found for m in i.models if m.name == model]
                if sum(state.state == "READY" for state in states) >= len(backends):
                    return
                if time.monotonic() > until:
                    raise TimeoutError(f"{model} is not ready: {states}")
                await asyncio.sleep(0.2)


def gateway(
    folder: Path,
    name: str,
    workers: int = 1,
    cores: Sequence[int] = (),
    routes: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    module: str = "gateway",
) -> Gateway:
    """A gateway with JWT, everything else that is on by default, and routes by file name.

    `settings` are further ones of its configuration, `module` is what is run.
    """
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    secret = place / "secret"
    secret.write_text(credentials.SECRET)
    secret.chmod(0o600)
    faces = ("http", "grpc", "admin", "discovery")
    ports = dict(zip(faces, free_ports(len(faces)), strict=True))
    (place / "routes").mkdir(exist_ok=True)
    for file, text in (routes or {}).items():
        (place / "routes" / file).write_text(text)
    config = place / "penstock.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "penstock/v1",
                "kind": "Penstock",
                "listeners": {face: {"address": f"127.0.0.1:{ports[face]}"} for face in faces},
                "workers": workers,
                "stateFolder": ".",
                "routes": "routes",
                "issuers": [
                    {
                        "name": "benchmark",
                        "issuer": credentials.ISSUER,
                        "audience": credentials.AUDIENCE,
                        "algorithm": "HS256",
                        "secretFile": "secret",
                    }
                ],
                **(settings or {}),
            },
            sort_keys=False,
        )
    )
    command = [sys.executable, "-m", module, "gateway", "--config", str(config)]
    child = Child(name, command, place / "log", cores)
    wait_for_port(child, ports["discovery"])
    return Gateway(child, config, ports["http"], ports["grpc"], ports["discovery"])


def backend(
    folder: Path,
    name: str,
    runtime: str,
    repository: Path,
    gateways: Sequence[Gateway],
    *,
    device: str = "cpu",
    threads: int = 1,
    cores: Sequence[int] = (),
) -> tuple[Child, int]:
    """A backend that joins all the gateways and lets direct clients in; also its port."""
    token = folder / "join-token"
    token.write_text(credentials.token("backend:join"))
    token.chmod(0o600)
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "backends", runtime, "--name", name, "--open", "--allow-code"]
    command += ["--model-repository", str(repository), "--device", device]
    command += ["--threads", str(threads), "--listen", f"127.0.0.1:{port}"]
    if gateways:
        command += ["--join", ",".join(f"127.0.0.1:{each.discovery}" for each in gateways)]
        command += ["--join-token-file", str(token)]
    return Child(name, command, folder / f"{name}.log", cores), port
