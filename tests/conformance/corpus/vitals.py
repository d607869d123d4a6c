"""What must not have changed after bad input: processes, what they hold, no failure anywhere."""

import os
import re
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chaos.mesh import Mesh

# Descriptors that come with the first questions to the record store, three a connection of its
# pool; one for each case would be far more.
SPARE = 48
SPARE_TASKS = 16  # one for each call, connection or body that is still under way would be more
# Of memory: what allocators keep of thousands of bodies, each up to 1 MiB; seen were 31 MiB.
SPARE_BYTES = 128 * 1024 * 1024
_FAILED = re.compile(r'^penstock_requests_total\{[^}]*code="(5\d\d)"[^}]*\} ([0-9.e+]+)$', re.M)
_MEANT = ("501",)  # what nobody offers is no failure
# Of the log: an incident, a traceback, and whatever else was meant for an operator's eyes.
_ALARMS = re.compile(r'incident [0-9a-f]|Traceback|"level": ?"(error|critical)"| ERROR | CRITICAL ')
_TASKS = re.compile(r"^penstock_asyncio_tasks(?:\{[^}]*\})? ([0-9.e+]+)$", re.M)


@dataclass(frozen=True)
class Vitals:
    pid: int
    epochs: frozenset[int]  # of the backends; another one is another process
    descriptors: int
    tasks: float  # of the gateway's event loop
    memory: int  # bytes that are resident
    failures: float  # requests that were answered 5xx
    alarms: int  # lines of the log

    @classmethod
    def of(cls, mesh: Mesh) -> Self:
        pid = mesh.gateway.pid
        metrics = mesh.metrics()
        return cls(
            pid,
            frozenset(row["epoch"] for row in mesh.endpoints()),
            len(os.listdir(f"/proc/{pid}/fd")),
            sum(map(float, _TASKS.findall(metrics))),
            resident(pid),
            failures(metrics),
            len(alarms(mesh)),
        )

    def check(self, mesh: Mesh) -> None:
        """Raises AssertionError for what is not as it was; descriptors and tasks have a while."""
        assert mesh.gateway.status is None
        with mesh.client("infer:*") as client:
            tensor = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}
            answer = client.post("/v2/models/long/infer", json={"inputs": [tensor]})
        assert answer.status_code == 200
        mesh.wait(
            lambda: Vitals.of(mesh).descriptors <= self.descriptors + SPARE,
            f"at most {self.descriptors + SPARE} descriptors",
        )
        mesh.wait(
            lambda: Vitals.of(mesh).tasks <= self.tasks + SPARE_TASKS,
            f"at most {self.tasks + SPARE_TASKS} tasks",
        )
        now = Vitals.of(mesh)
        assert (now.pid, now.epochs) == (self.pid, self.epochs)
        assert now.memory <= self.memory + SPARE_BYTES
        assert now.failures == self.failures
        raised = alarms(mesh)[self.alarms :]
        assert not raised, "\n".join(raised)


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def failures(metrics: str) -> float:
    """Requests answered with a 5xx other than those that say what isn't offered."""
    found = _FAILED.findall(metrics)
    return sum(float(number) for code, number in found if code not in _MEANT)


def alarms(mesh: Mesh) -> list[str]:
    lines = mesh.gateway.log.read_text(errors="replace").splitlines()
    return [line for line in lines if _ALARMS.search(line)]
