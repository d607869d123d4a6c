"""What is compared: ways from an HTTP or gRPC client to the same backend processes."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import credentials, envoy, load, mesh
from benchmarks.device_time import DeviceTime, device_time
from benchmarks.load import Call, Load
from benchmarks.processes import Child, children, free_ports, wait_for_port
from benchmarks.works import IMAGE, VECTOR, Work, repository

JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the parts may use; empty: all of them, shared."""

    gateways: tuple[int, ...] = ()
    rest: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Http:
    """Asked over HTTP/1.1; `front` is the process between client and backends."""

    name: str
    front: Child | None
    calls: dict[str, Call]

    def load(self, work: Work, connections: int, seconds: float) -> Load:
        call = self.calls[work.model]
        if connections > 1:
            return load.wrk(call, connections, seconds)
        took = sorted(reply.seconds for reply in load.one_by_one(call, seconds))
        p50, p99 = np.quantile(took, (0.5, 0.99))
        return Load(len(took), sum(took), p50, p99, took[-1])


@dataclass(frozen=True, slots=True)
class Grpc:
    """Asked over gRPC; without `front` the client talks to the backend itself."""

    name: str
    front: Child | None
    port: int
    token: str

    def load(self, work: Work, connections: int, seconds: float) -> Load:
        shape = json.dumps(work.shape)
        words = [str(self.port), str(connections), str(seconds), shape, work.model, self.token]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.direct", *words],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        found = json.loads(done.stdout)
        return Load(
            found["requests"], found["seconds"], found["p50"], found["p99"], found["slowest"]
        )


Subject = Http | Grpc


@dataclass(frozen=True, slots=True)
class Bench:
    """Subjects over one set of backends."""

    subjects: dict[str, Subject]
    backends: list[Child]
    ports: list[int]

    def device_time(self, work: Work) -> DeviceTime:
        return device_time(self.ports, work.model)

    def backend_cpu(self) -> float:
        return sum(child.cpu() for child in self.backends)


PENSTOCK, AGAIN, WORKERS = "Penstock", "Penstock again (A/A)", "Penstock, 2 workers"
BINARY, PENSTOCK_GRPC = "Penstock, binary extension", "Penstock, gRPC in"
ENVOY, ENVOY_GRPC = "Envoy 1.40", "Envoy 1.40, gRPC in"
UNARY, DIRECT = "bare unary", "direct gRPC"


@contextlib.contextmanager
def bench(folder: Path, endpoints: int, cores: Cores) -> Iterator[Bench]:
    """All subjects before `endpoints` backend processes, each of which every subject uses."""
    with children() as started:
        gateways: dict[str, mesh.Gateway] = {}
        for name, workers in ((PENSTOCK, 1), (AGAIN, 1), (WORKERS, 2)):
            at = f"gateway-{len(gateways)}"
            gateways[name] = mesh.gateway(folder, at, workers, cores.gateways)
            started.append(gateways[name].child)
        models = repository(folder)
        backends, ports = [], []
        for number in range(endpoints):
            joined = list(gateways.values())
            child, port = mesh.backend(
                folder, f"backend-{number}", "python", models, joined, cores=cores.rest
            )
            started.append(child)
            backends.append(child)
            ports.append(port)
        for work in (VECTOR, IMAGE):
            for gateway in gateways.values():
                gateway.wait_for(work.model, backends)
        token = credentials.token("infer:*")
        subjects: list[Subject] = [
            *(_penstock(name, gateway, token) for name, gateway in gateways.items()),
            _binary(gateways[PENSTOCK], token),
            Grpc(PENSTOCK_GRPC, gateways[PENSTOCK].child, gateways[PENSTOCK].grpc, token),
        ]
        front, forwarder = free_ports(2)
        proxy = Child(
            "envoy", envoy.command(folder, front, ports), folder / "envoy.log", cores.gateways
        )
        started.append(proxy)
        command = [sys.executable, "-m", "benchmarks.unary", *map(str, (forwarder, *ports))]
        bare = Child("unary", command, folder / "unary.log", cores.gateways)
        started.append(bare)
        wait_for_port(proxy, front)
        wait_for_port(bare, forwarder)
        subjects += [
            _envoy(proxy, front, token),
            Grpc(ENVOY_GRPC, proxy, front, token),
            Http(UNARY, bare, {w.model: rest(forwarder, w, token) for w in (VECTOR, IMAGE)}),
            Grpc(DIRECT, None, ports[0], token),
        ]
        yield Bench({each.name: each for each in subjects}, backends, ports)


def rest(port: int, work: Work, token: str) -> Call:
    """The protocol's REST in JSON."""
    headers = JSON | {"authorization": f"Bearer {token}"}
    return Call(port, f"/v2/models/{work.model}/infer", headers, (work.rest(),))


def _penstock(name: str, gateway: mesh.Gateway, token: str) -> Http:
    calls = {work.model: rest(gateway.http, work, token) for work in (VECTOR, IMAGE)}
    return Http(name, gateway.child, calls)


def _binary(gateway: mesh.Gateway, token: str) -> Http:
    calls = {}
    for work in (VECTOR, IMAGE):
        body, length = work.binary()
        headers = {
            "content-type": "application/octet-stream",
            "authorization": f"Bearer {token}",
            "inference-header-content-length": str(length),
        }
        calls[work.model] = replace(
            rest(gateway.http, work, token), headers=headers, bodies=(body,)
        )
    return Http(BINARY, gateway.child, calls)


def _envoy(proxy: Child, port: int, token: str) -> Http:
    calls = {
        work.model: replace(rest(port, work, token), bodies=(work.transcoded(),))
        for work in (VECTOR, IMAGE)
    }
    return Http(ENVOY, proxy, calls)
