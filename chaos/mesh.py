"""A real mesh: a gateway and backends in processes of their own, on free ports.

Everything lies in one folder: configuration, secret, the processes' output. A mesh ends exactly the
processes that it started, and they end with the process that did, however that ends.
"""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from chaos.ports import free_ports
from chaos.processes import PATIENCE, Process
from gateway.config import load_config
from policies.tokens import ensure_secret, issue

LOOK = 0.05
FACES = ("http", "grpc", "admin", "discovery")
Key = tuple[str, str]  # model and version
# An hour's jump of the gateway's clock is no end of the mesh's own tokens.
ISSUED, LIFETIME = -2 * 3600.0, 6 * 3600.0


class Mesh:
    """One gateway and the backends that were told to join it.

    Meshes with the same `secret` accept each other's tokens. `routes` are documents by file name,
    `more` is further YAML for the configuration, `limits` is one line of its limits (`body: 1MiB`,
    several behind commas), `environment` is added to the processes' own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 1,
        secret: Path | None = None,
        routes: Mapping[str, str] | None = None,
        more: str = "",
        limits: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.routes = folder / "routes"
        self.routes.mkdir(exist_ok=True)
        for name, text in (routes or {}).items():
            self.write_route(name, text)
        self.secret = secret or folder / "secret"
        self.ports = dict(zip(FACES, free_ports(len(FACES)), strict=True))
        self.file = folder / "penstock.yaml"
        written = _configuration(self.ports, self.secret, workers, folder, limits)
        self.file.write_text(written + more)
        ensure_secret(self.secret)
        self.issuer = load_config(self.file).issuers[0]
        self.join_token = folder / "join-token"
        self.join_token.write_text(self.token("backend:join", issued=ISSUED, lifetime=LIFETIME))
        self._workers = workers
        self._environment = environment
        self._processes: list[Process] = []
        self._admin = self.token("admin", "infer:*", issued=ISSUED, lifetime=LIFETIME)
        self.start_gateway()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends all that still run; raises AssertionError afterwards if one didn't finish."""
        stuck = []
        for process in reversed(self._processes):
            try:
                if process.status is None:
                    process.stop()
            except AssertionError as one:
                stuck.append(str(one))
        if stuck and error is None:
            raise AssertionError("\n".join(stuck))

    @property
    def crashed(self) -> list[str]:
        """Names of processes that ended though nobody told them to, or with an error."""
        return [each.name for each in self._processes if each.crashed]

    @property
    def url(self) -> str:
        return f"http://{self.address('http')}"

    def address(self, face: str) -> str:
        return f"127.0.0.1:{self.ports[face]}"

    def token(
        self,
        *scopes: str,
        tenant: str = "tests",
        issued: float = 0.0,
        lifetime: float = 3600.0,
    ) -> str:
        """A token that was issued so many seconds from now, which may be negative."""
        return issue(
            self.issuer,
            tenant=tenant,
            scopes=scopes,
            subject="tester",
            lifetime=lifetime,
            now=self.now() + issued,
        )

    def now(self) -> float:
        """Wall time, in which tokens are dated."""
        return time.time()

    def client(self, *scopes: str, **settings: Any) -> httpx.Client:
        """A client of the REST face whose token has the scopes; without any, no token."""
        headers = {"authorization": f"Bearer {self.token(*scopes)}"} if scopes else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0, **settings)

    def start_gateway(self, output: int | None = None) -> Process:
        """Also again; what it says goes to a file, or to the descriptor `output`."""
        command = ["gateway", "serve", "--config", str(self.file)]
        self.gateway = self._start("gateway", command, output=output)
        return self.gateway

    def process(self, name: str) -> Process:
        """The newest process of that name."""
        return next(each for each in reversed(self._processes) if each.name == name)

    def write_route(self, name: str, text: str) -> None:
        """Puts a route document in place at once, as a deployment would."""
        new = self.folder / f"{name}.new"
        new.write_text(text)
        new.replace(self.routes / name)

    def admin(self, method: str, path: str, **settings: Any) -> httpx.Response:
        """A request to the admin face by an administrator."""
        return httpx.request(method, self._on_admin(path), headers=self._bearer(), **settings)

    def start_backend(
        self,
        name: str,
        repository: Path,
        *flags: str,
        runtime: str = "python",
        join: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """A backend on one thread that joins this gateway, or the discovery addresses in `join`.

        `environment` comes on top of the mesh's.
        """
        code = ["--allow-code"] if runtime == "python" else []
        return self._start(
            name,
            [
                "backends",
                runtime,
                "--model-repository",
                str(repository),
                "--join",
                join or self.address("discovery"),
                "--join-token-file",
                str(self.join_token),
                "--threads",
                "1",
                "--name",
                name,
                *code,
                *flags,
            ],
            environment,
        )

    def join_openai(self, name: str, url: str, *flags: str) -> Process:
        """A backend that joins the server of OpenAI's API at `url` to this gateway."""
        where = ["--join", self.address("discovery"), "--join-token-file", str(self.join_token)]
        return self._start(
            name, ["backends", "openai", "--url", url, *where, "--name", name, *flags]
        )

    def wait_ready(self, *models: Key, instances: int = 1) -> None:
        """Until the gateway serves these versions on so many instances, in every worker."""

        def serving() -> bool:
            rows = self.endpoints()
            # Until then unknown models might only be late.
            return (
                bool(rows)
                and self.settled()
                and all(sum(_serves(row, model) for row in rows) >= instances for model in models)
                and all(self._index(models) for _ in range(8 if self._workers > 1 else 1))
            )

        self.wait(serving, f"{models} to be READY")

    def wait(self, condition: Callable[[], bool], what: str) -> float:
        """Seconds until the condition held; raises AssertionError with what the processes said."""
        begun = time.monotonic()
        while not condition():
            if self.crashed or time.monotonic() - begun > PATIENCE:
                words = "\n\n".join(f"{p.name}:\n{p.last_words()}" for p in self._processes)
                raise AssertionError(f"waited in vain for {what}\n{words}")
            time.sleep(LOOK)
        return time.monotonic() - begun

    def endpoints(self) -> list[dict[str, Any]]:
        """The rows of the endpoint table; none while the gateway doesn't answer."""
        try:
            found = httpx.get(self._on_admin("/admin/endpoints"), headers=self._bearer())
        except httpx.TransportError:
            return []
        rows: list[dict[str, Any]] = found.raise_for_status().json()["endpoints"]
        return rows

    def settled(self) -> bool:
        """Whether the gateway has waited for all backends that might join."""
        answer = httpx.get(self._on_admin("/admin/endpoints"), headers=self._bearer())
        return bool(answer.raise_for_status().json()["settled"])

    def instance(self, name: str) -> dict[str, Any] | None:
        return next((row for row in self.endpoints() if row["instance"] == name), None)

    def metrics(self) -> str:
        answer = httpx.get(self._on_admin("/metrics"), headers=self._bearer())
        return answer.raise_for_status().text

    def counter(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels; 0 if there are none.

        Raises LookupError if there is no such metric: 0 would be the good answer to many questions.
        """
        families = list(text_string_to_metric_families(self.metrics()))  # type: ignore[no-untyped-call]
        if all(name not in (each.name, f"{each.name}_total") for each in families):
            raise LookupError(f"the gateway has no metric {name}")
        return math.fsum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def drain(self, instance: str) -> None:
        path = f"/admin/endpoints/{instance}/drain"
        httpx.post(self._on_admin(path), headers=self._bearer()).raise_for_status()

    def _start(
        self,
        name: str,
        arguments: list[str],
        environment: Mapping[str, str] | None = None,
        output: int | None = None,
    ) -> Process:
        own = {**(self._environment or {}), **(environment or {})}
        process = Process(name, arguments, self.folder, own, output)
        self._processes.append(process)
        return process

    def _index(self, models: tuple[Key, ...]) -> bool:
        """Whether one worker, whichever answers, has the models."""
        try:
            answer = httpx.post(
                f"{self.url}/v2/repository/index", json={"ready": True}, headers=self._bearer()
            )
        except httpx.TransportError:
            return False
        ready = {(row["name"], row["version"]) for row in answer.raise_for_status().json()}
        return ready.issuperset(models)

    def _on_admin(self, path: str) -> str:
        return f"http://{self.address('admin')}{path}"

    def _bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._admin}"}


def _serves(row: dict[str, Any], model: Key) -> bool:
    return row["state"] == "ready" and any(
        (each["name"], each["version"]) == model and each["state"] == "READY"
        for each in row["models"]
    )


def _configuration(
    ports: dict[str, int], secret: Path, workers: int, folder: Path, limits: str
) -> str:
    listeners = "\n".join(
        f'  {face}: {{address: "127.0.0.1:{port}"}}' for face, port in ports.items()
    )
    return f"""
apiVersion: penstock/v1
kind: Penstock
workers: {workers}
stateFolder: {folder}/state
routes: {folder}/routes
listeners:
{listeners}
limits: {{drainTimeout: 5s, {limits}}}
issuers:
  - name: tests
    issuer: https://issuer.test
    algorithm: HS256
    secretFile: {secret}
    development: true
"""
