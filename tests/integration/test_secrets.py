"""A whole mesh with secrets of every kind, which are then searched for wherever they could show:
command lines, environments, logs, pages, errors and what the processes have written."""

import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from chaos.mesh import FACES
from chaos.ports import free_ports
from chaos.processes import ROOT
from gateway.cli import app
from protos.orphans import die_with
from tests import openai_server
from tests.gateway.state.redis_server import RedisServer
from tests.pki import Authority

MODEL = """
def predict(inputs):
    if inputs["x"].min() == -7654321:
        raise RuntimeError("a model that fails")
    return {"y": inputs["x"] * 2}
"""
SIGNATURE = """
inputs: [{name: x, datatype: FP32, shape: [-1, 2]}]
outputs: [{name: y, datatype: FP32, shape: [-1, 2]}]
"""
PATIENCE = 120.0  # seconds for the mesh to come up
# In files of the operator's, one each.
NAMES = ("signing", "redis", "cache", "privacy", "audit", "decisions", "server-key")


def body(value: float) -> dict[str, object]:
    data = [value, value]
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": data}]}


class Site:
    """`penstock up` with two workers, started with the most open umask that there is."""

    def __init__(
        self, folder: Path, redis: RedisServer, server: str, values: dict[str, str]
    ) -> None:
        self.folder, self.state, self.log = folder, folder / "state", folder / "up.log"
        self.secrets = dict(values)
        self.authority = Authority(folder)
        pair = self.authority.issue("gateway")
        body = "".join(pair.key.read_text().splitlines()[1:-1])
        self.secrets["the certificate's key"] = body[40:80]
        self.ports = dict(zip(FACES, free_ports(len(FACES)), strict=True))
        tls = f"tls: {{certificate: {pair.certificate}, key: {pair.key}}}"
        faces = "".join(
            f"  {face}: {{address: 127.0.0.1:{port}, {tls if face in ('http', 'admin') else ''}}}\n"
            for face, port in self.ports.items()
        ).replace(", }", "}")
        self.file = folder / "penstock.yaml"
        self.file.write_text(
            "apiVersion: penstock/v1\nkind: Penstock\n"
            f"stateFolder: {self.state}\nworkers: 2\nlisteners:\n{faces}"
            "issuers:\n  - {name: t, issuer: t, algorithm: HS256, secretFile: secrets/signing, "
            "development: true}\n"
            f"apiKeys: {{secretFile: {self.state}/api-keys}}\n"
            f"state: {{url: {redis}, passwordFile: secrets/redis}}\n"
            "cache: {keyFile: secrets/cache}\nprivacy: {keyFile: secrets/privacy}\n"
            "audit: {keyFile: secrets/audit}\ndecisions: {keyFile: secrets/decisions}\n"
            "backends:\n"
            f"  - {{runtime: python, repository: {folder}/models, allowCode: true, threads: 1}}\n"
            f"  - {{runtime: openai, server: {{url: {server}, keyFile: secrets/server-key}}}}\n"
        )
        (folder / "tmp").mkdir()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "up", "--config", str(self.file)],
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(folder / "tmp")},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=0,
                preexec_fn=partial(die_with, os.getpid()),
            )
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        self.http, self.admin = (
            httpx.Client(
                base_url=f"https://localhost:{self.ports[face]}", verify=context, timeout=30.0
            )
            for face in ("http", "admin")
        )

    def ask(self, *arguments: str) -> str:
        """What a command prints on standard output."""
        done = CliRunner().invoke(app, [*arguments, "--config", str(self.file)])
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    def wait_ready(self) -> None:
        until = time.monotonic() + PATIENCE
        while "Serving." not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)

    def processes(self) -> list[int]:
        """Of all that `up` has started, and itself."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                number, _, rest = stat.read_text().partition(" (")
            except OSError:
                continue
            parents[int(number)] = int(rest.rpartition(") ")[2].split()[1])
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def shows(self, content: bytes) -> list[str]:
        """The secrets that stand there."""
        return [name for name, value in self.secrets.items() if value.encode() in content]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("what processes were started with is read from /proc")
    folder = tmp_path_factory.mktemp("secrets")
    values = {name: f"canary-{name}-{secrets.token_hex(16)}" for name in NAMES}
    (folder / "secrets").mkdir()
    for name, value in values.items():
        (folder / "secrets" / name).write_text(value)
        (folder / "secrets" / name).chmod(0o600)
    (folder / "models" / "double").mkdir(parents=True)
    (folder / "models" / "double" / "model.py").write_text(MODEL)
    (folder / "models" / "double" / "model.yaml").write_text(SIGNATURE)
    with (
        RedisServer(folder / "redis", "--requirepass", values["redis"]) as redis,
        openai_server.serving(openai_server.Server(values["server-key"])) as server,
    ):
        site = Site(folder, redis.url, server, values)
        try:
            site.wait_ready()
            yield site
        finally:
            site.stop()


pytestmark = pytest.mark.xdist_group("secrets")


def test_no_secret_shows_anywhere(site: Site) -> None:
    names = {"--tenant": "t", "--name": "client", "--scope": "infer:*"}
    key = site.ask("keys", "create", *(part for each in names.items() for part in each))
    token = site.ask("token", "--tenant", "t", "--scope", "infer:*")
    admin = site.ask("token", "--tenant", "t", "--scope", "admin", "--scope", "metrics")
    site.secrets |= {"an API key": key.split()[-1], "a token": token, "an admin's token": admin}
    site.secrets["the token of up"] = (site.state / "token").read_text().strip()
    site.secrets["the token to join"] = (site.state / "join-token").read_text().strip()
    seen: dict[str, bytes] = {}

    def answered(name: str, answer: httpx.Response, status: int) -> None:
        assert answer.status_code == status, (name, answer.text)
        seen[name] = repr(answer.headers.raw).encode() + answer.content

    infer = "/v2/models/double/infer"
    for name, secret in (("an API key", site.secrets["an API key"]), ("a token", token)):
        bearer = {"authorization": f"Bearer {secret}"}
        # Workers hear of new keys within two seconds, and each connects to backends by itself.
        until = time.monotonic() + PATIENCE
        while (found := site.http.post(infer, json=body(1.0), headers=bearer)).status_code != 200:
            assert time.monotonic() < until, site.log.read_text()
            time.sleep(0.1)
        answered(f"an answer to {name}", found, 200)
        failed = site.http.post(infer, json=body(-7654321.0), headers=bearer)
        assert failed.status_code >= 500
        seen[f"a failure told to {name}"] = failed.content
        answered("a refusal", site.http.post(infer, content=b"{", headers=bearer), 400)
        unknown = site.http.post("/v2/models/none/infer", json=body(1.0), headers=bearer)
        answered("an unknown model", unknown, 404)
        wrong = {"authorization": f"Bearer {secret}x"}
        answered("a stranger", site.http.post(infer, json=body(1.0), headers=wrong), 401)

    bearer = {"authorization": f"Bearer {admin}"}
    for path in ("/metrics", "/admin/endpoints", "/admin/requests/recent"):
        answered(path, site.admin.get(path, headers=bearer), 200)
    made = site.admin.post("/admin/console/links", headers=bearer)
    assert made.status_code == 201
    site.secrets["the code of a link"] = made.json()["path"].partition("=")[2]
    origin = {"origin": str(site.admin.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    site.admin.get(made.json()["path"])
    code = {"code": site.secrets["the code of a link"]}
    logged_in = site.admin.post("/login", data=code, headers=origin)
    assert logged_in.status_code == 303
    for name, value in site.admin.cookies.items():
        site.secrets[f"the cookie {name}"] = value
    for path in ("/", "/requests", "/routes", "/usage", "/shadow", "/rollouts"):
        answered(path, site.admin.get(path), 200)

    processes = site.processes()
    assert len(processes) >= 6  # up, the supervisor, two workers, two backends
    for pid in processes:
        for what in ("cmdline", "environ"):
            seen[f"{what} of {pid}"] = Path(f"/proc/{pid}/{what}").read_bytes()
    seen["what up prints"] = site.log.read_bytes()
    where_they_belong = {site.state / name for name in ("token", "join-token", "api-keys")}
    for file in (*site.state.rglob("*"), *(site.folder / "tmp").rglob("*")):
        if file.is_file() and file not in where_they_belong:
            seen[str(file)] = file.read_bytes()
    found = {name: shown for name, content in seen.items() if (shown := site.shows(content))}
    assert found == {}
    assert "request: 401" in site.log.read_text()  # there are lines to look in


def test_what_it_writes_is_nobody_elses_whatever_the_umask(site: Site) -> None:
    files = [site.state, *site.state.rglob("*")]
    open_to_others = {
        str(path.relative_to(site.folder)): oct(path.stat().st_mode & 0o777)
        for path in files
        if path.stat().st_mode & 0o077
    }
    assert open_to_others == {}
    sockets = [path for path in (site.folder / "tmp").rglob("*") if path.is_socket()]
    assert sockets
    assert all(path.parent.stat().st_mode & 0o077 == 0 for path in sockets)
