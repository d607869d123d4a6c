"""Mutual TLS on every connection of a mesh: clients, discovery and the exchange."""

import re
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from chaos.ports import free_ports
from chaos.processes import Process
from policies.issuers import Issuer
from policies.tokens import ensure_secret, issue
from protos import open_inference_pb2 as pb
from protos.tls_files import INTERVAL
from tests.pki import Authority, Pair

MODEL = """
def predict(inputs):
    return {"y": inputs["x"] * 2}
"""
SIGNATURE = """
inputs: [{name: x, datatype: FP32, shape: [-1, 2]}]
outputs: [{name: y, datatype: FP32, shape: [-1, 2]}]
"""
BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}


class TlsMesh:
    """A gateway and a backend that trust only what `authority` signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.client = self.authority.issue("client")
        gateway, backend = self.authority.issue("gateway"), self.authority.issue("backend")
        self.ports = dict(zip(("http", "grpc", "admin", "discovery"), free_ports(4), strict=True))
        config = folder / "penstock.yaml"
        config.write_text(self._config(gateway))
        secret = folder / "secret"
        ensure_secret(secret)
        self._issuer = Issuer.model_validate(
            {
                "name": "tests",
                "issuer": "tests",
                "algorithm": "HS256",
                "secretFile": secret,
                "development": True,
            }
        )
        (folder / "join-token").write_text(self.token("backend:join"))
        model = folder / "models" / "double"
        model.mkdir(parents=True)
        (model / "model.py").write_text(MODEL)
        (model / "model.yaml").write_text(SIGNATURE)
        self.processes = [
            Process("gateway", ["gateway", "serve", "--config", str(config)], folder),
            self.start_backend("backend", backend),
        ]

    def start_backend(self, name: str, shown: Pair | None) -> Process:
        joins = ["--join-certificate", str(shown.certificate)] if shown else []
        joins += ["--join-key", str(shown.key)] if shown else []
        served = self.authority.issue(f"{name}-server")
        return Process(
            name,
            [
                *("backends", "python", "--allow-code", "--name", name, "--threads", "1"),
                *("--model-repository", str(self.folder / "models")),
                *("--join", f"127.0.0.1:{self.ports['discovery']}"),
                *("--join-token-file", str(self.folder / "join-token")),
                *("--join-ca", str(self.authority.certificate), *joins),
                *("--tls-certificate", str(served.certificate), "--tls-key", str(served.key)),
                *("--tls-client-ca", str(self.authority.certificate)),
            ],
            self.folder,
        )

    def token(self, *scopes: str) -> str:
        return issue(
            self._issuer,
            tenant="tests",
            scopes=scopes,
            subject="tester",
            lifetime=3600.0,
            now=time.time(),
        )

    def http(self, shown: Pair | None, face: str = "http") -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        scopes = ("infer:*",) if face == "http" else ("metrics", "admin")
        headers = {"authorization": f"Bearer {self.token(*scopes)}"}
        url = f"https://localhost:{self.ports[face]}"
        return httpx.Client(base_url=url, verify=context, headers=headers, timeout=10.0)

    def _config(self, gateway: Pair) -> str:
        tls = (
            f"{{certificate: {gateway.certificate}, key: {gateway.key}, "
            f"clientCa: {self.authority.certificate}}}"
        )
        listeners = "\n".join(
            f"  {face}: {{address: 127.0.0.1:{port}, tls: {tls}}}"
            for face, port in self.ports.items()
        )
        return f"""
apiVersion: penstock/v1
kind: Penstock
stateFolder: {self.folder}
listeners:
{listeners}
issuers:
  - {{name: tests, issuer: tests, algorithm: HS256, secretFile: secret, development: true}}
exchange:
  tls: {{ca: {self.authority.certificate}, certificate: {gateway.certificate}, key: {gateway.key}}}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsMesh]:
    mesh = TlsMesh(tmp_path_factory.mktemp("tls"))
    try:
        with mesh.http(mesh.client) as client:
            until = time.monotonic() + 60
            while not _ready(client):
                words = "\n".join(process.last_words() for process in mesh.processes)
                assert time.monotonic() < until, words
                time.sleep(0.1)
        yield mesh
    finally:
        for process in mesh.processes:
            process.stop()


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/v2/models/double/ready").status_code == 200
    except httpx.TransportError:
        return False


pytestmark = pytest.mark.xdist_group("tls")


def test_a_request_goes_through_on_certificates_alone(mesh: TlsMesh) -> None:
    with mesh.http(mesh.client) as client:
        answer = client.post("/v2/models/double/infer", json=BODY)
    assert answer.json()["outputs"][0]["data"] == [2, 4]


def test_the_grpc_face_asks_for_a_certificate_too(mesh: TlsMesh) -> None:
    roots = mesh.authority.certificate.read_bytes()
    shown = (mesh.client.key.read_bytes(), mesh.client.certificate.read_bytes())
    address = f"localhost:{mesh.ports['grpc']}"

    def ready(*pair: bytes) -> bool:
        credentials = grpc.ssl_channel_credentials(roots, *pair)
        with grpc.secure_channel(address, credentials) as channel:
            call = channel.unary_unary(
                "/inference.GRPCInferenceService/ServerReady",
                request_serializer=pb.ServerReadyRequest.SerializeToString,
                response_deserializer=pb.ServerReadyResponse.FromString,
            )
            return bool(call(pb.ServerReadyRequest(), timeout=10.0).ready)

    assert ready(*shown)
    with pytest.raises(grpc.RpcError) as caught:
        ready()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_client_without_a_certificate_is_turned_away(mesh: TlsMesh) -> None:
    with mesh.http(None) as client, pytest.raises(httpx.TransportError):
        client.post("/v2/models/double/infer", json=BODY)


def test_plain_text_is_not_answered(mesh: TlsMesh) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://localhost:{mesh.ports['http']}/v2/health/live")


def test_a_strangers_certificate_is_not_trusted(mesh: TlsMesh, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger").issue("client")
    with mesh.http(stranger) as client, pytest.raises(httpx.TransportError):
        client.get("/v2/health/live")


def test_a_backend_without_a_certificate_does_not_join(mesh: TlsMesh) -> None:
    process = mesh.start_backend("nameless", None)
    mesh.processes.append(process)
    with mesh.http(mesh.client) as client:
        context = {"authorization": f"Bearer {mesh.token('admin')}"}
        url = f"https://localhost:{mesh.ports['admin']}/admin/endpoints"
        until = time.monotonic() + 20
        while "lost gateway" not in process.last_words():
            assert time.monotonic() < until, process.last_words()
            time.sleep(0.1)
        rows = client.get(url, headers=context).json()["endpoints"]
    assert [row["instance"] for row in rows] == ["backend"]


class Load:
    """Requests one after the other, some on a connection of before and some on new ones."""

    def __init__(self, mesh: TlsMesh) -> None:
        self._mesh = mesh
        self._over = threading.Event()
        self.answered = 0
        self.failed: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def go_on(self, requests: int) -> None:
        until, wanted = time.monotonic() + 60, self.answered + requests
        while self.answered < wanted and not self.failed:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert self.failed == []

    def _run(self) -> None:
        with self._mesh.http(self._mesh.client) as kept:
            while not self._over.is_set():
                with self._mesh.http(self._mesh.client) as fresh:
                    for client in (kept, fresh):
                        try:
                            answer = client.post("/v2/models/double/infer", json=BODY)
                            if answer.status_code != 200:
                                self.failed.append(f"{answer.status_code}")
                        except httpx.TransportError as error:
                            self.failed.append(repr(error))
                        self.answered += 1


def _gauges(mesh: TlsMesh, name: str) -> dict[str, float]:
    with mesh.http(mesh.client, "admin") as client:
        page = client.get("/metrics").text
    return {m[1]: float(m[2]) for m in re.finditer(rf"^{name}{{(.*)}} (\S+)$", page, re.MULTILINE)}


def _wait(mesh: TlsMesh, name: str, wanted: dict[str, float]) -> None:
    until = time.monotonic() + 60
    while not wanted.items() <= (found := _gauges(mesh, name)).items():
        assert time.monotonic() < until, found
        time.sleep(0.1)


def test_everything_is_exchanged_without_a_failed_request(mesh: TlsMesh, tmp_path: Path) -> None:
    # Last, since the mesh has another authority from then on.
    expiry, unusable = "penstock_tls_expiry_timestamp_seconds", "penstock_tls_files_unusable"
    before = _gauges(mesh, expiry)
    uses = [*mesh.ports, "exchange"]
    files = [(use, "ca" if use == "exchange" else "clientCa") for use in uses]
    files += [(use, "certificate") for use in uses]
    assert set(before) == {f'use="{use}",file="{file}"' for use, file in files}

    new, trusted = Authority(tmp_path, "new"), mesh.authority.certificate
    keys = [each for each in mesh.folder.glob("*.key") if each != mesh.client.key]
    with Load(mesh) as load:
        load.go_on(10)
        # Trust comes first and goes last; in between both authorities are good.
        trusted.write_bytes(trusted.read_bytes() + new.certificate.read_bytes())
        load.go_on(10)
        time.sleep(INTERVAL)
        issued = {key: new.issue(key.stem) for key in keys}
        for key, pair in issued.items():
            key.with_suffix(".pem").write_bytes(pair.certificate.read_bytes())
        _wait(mesh, unusable, {f'use="{use}"': 1.0 for use in uses})
        load.go_on(10)
        for key, pair in issued.items():
            key.write_bytes(pair.key.read_bytes())
        _wait(mesh, unusable, {f'use="{use}"': 0.0 for use in uses})
        mesh.client = new.issue("client")
        load.go_on(10)
        trusted.write_bytes(new.certificate.read_bytes())
        time.sleep(INTERVAL)
        mesh.authority = new
        load.go_on(10)
        later = mesh.start_backend("later", new.issue("later"))
        mesh.processes.append(later)
        _wait(mesh, "penstock_endpoint_connected", {'backend="later"': 1.0})
        load.go_on(10)
    after = _gauges(mesh, expiry)
    assert all(after[each] > before[each] for each in before)
