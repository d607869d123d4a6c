"""A real Prometheus that scrapes a mesh twice a second."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from chaos.mesh import Mesh
from chaos.ports import free_ports
from chaos.processes import PATIENCE
from protos.orphans import die_with
from tests.servers import program

ALERTS = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"
EVERY = "500ms"
WINDOW = "6s"  # of what the shipped rules look at for minutes or hours


class Prometheus:
    """Ends with the test process, however that ends."""

    def __init__(self, folder: Path, mesh: Mesh) -> None:
        (folder / "token").write_text(mesh.token("metrics"))
        (folder / "alerts.yml").write_text(hurried(ALERTS.read_text()))
        (folder / "prometheus.yml").write_text(_configuration(folder, mesh.address("admin")))
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}"
        self._log = folder / "prometheus.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    str(program("prometheus")),
                    f"--config.file={folder}/prometheus.yml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--enable-feature=exemplar-storage",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=partial(die_with, os.getpid()),
            )

    def __enter__(self) -> Self:
        self.wait(self._ready, "Prometheus to be ready")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, path: str, **query: Any) -> Any:
        answer = httpx.get(f"{self._url}/api/v1/{path}", params=query).raise_for_status()
        return answer.json()["data"]

    def query(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """An instant query's labels and values."""
        found = self.ask("query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("targets")["activeTargets"]
        return found

    def firing(self) -> set[str]:
        """Names of alerts."""
        alerts = self.ask("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        begun = time.monotonic()
        while not condition():
            if self._process.poll() is not None or time.monotonic() - begun > PATIENCE:
                said = self._log.read_text(errors="replace")[-4000:]
                raise AssertionError(f"waited in vain for {what}\n{said}")
            time.sleep(0.1)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self._url}/-/ready").status_code == 200
        except httpx.TransportError:
            return False


def hurried(rules: str) -> str:
    """The same rules with seconds for minutes: what they wait for, and what they look back at.

    Those about times keep their patience, as any of them may be true of a busy machine for a
    moment.
    """
    document = yaml.safe_load(rules)
    for rule in (rule for group in document["groups"] for rule in group["rules"]):
        if "_seconds" not in rule["expr"]:
            rule["expr"] = re.sub(r"\[\d+[mh]\]", f"[{WINDOW}]", rule["expr"])
            if "for" in rule:
                rule["for"] = "1s"
    return yaml.safe_dump(document)


def _configuration(folder: Path, target: str) -> str:
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": EVERY, "evaluation_interval": EVERY},
            "rule_files": [f"{folder}/alerts.yml"],
            "scrape_configs": [
                {
                    "job_name": "penstock",
                    "authorization": {"credentials_file": f"{folder}/token"},
                    "static_configs": [{"targets": [target]}],
                }
            ],
        }
    )
