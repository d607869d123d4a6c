"""What must not have changed after bad input: processes, descriptors, and no failure anywhere."""

import os
import re
from dataclasses import dataclass
from typing import Self

from chaos.mesh import Mesh

# Descriptors that come with the first questions to the record store, three a connection of its
# pool; one for each case would be far more.
SPARE = 48
_FAILED = re.compile(r'^penstock_requests_total\{[^}]*code="(5\d\d)"[^}]*\} ([0-9.e+]+)$', re.M)
_MEANT = ("501",)  # what nobody offers is no failure
# Of the log: an incident, a traceback, and whatever else was meant for an operator's eyes.
_ALARMS = re.compile(r'incident [0-9a-f]|Traceback|"level": ?"(error|critical)"| ERROR | CRITICAL ')
# gRPC's own words for a client that left before its answer.
_LEFT = "ExecuteBatchError raised in core"


@dataclass(frozen=True)
class Vitals:
    pid: int
    epochs: frozenset[int]  # of the backends; another one is another process
    descriptors: int
    failures: float  # requests that were answered 5xx
    alarms: int  # lines of the log

    @classmethod
    def of(cls, mesh: Mesh) -> Self:
        pid = mesh.gateway.pid
        return cls(
            pid,
            frozenset(row["epoch"] for row in mesh.endpoints()),
            len(os.listdir(f"/proc/{pid}/fd")),
            failures(mesh.metrics()),
            len(alarms(mesh)),
        )

    def check(self, mesh: Mesh) -> None:
        """Raises AssertionError for what is not as it was; descriptors have a while to close."""
        assert mesh.gateway.status is None
        with mesh.client("infer:*") as client:
            tensor = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}
            answer = client.post("/v2/models/long/infer", json={"inputs": [tensor]})
        assert answer.status_code == 200
        mesh.wait(
            lambda: Vitals.of(mesh).descriptors <= self.descriptors + SPARE,
            f"at most {self.descriptors + SPARE} descriptors",
        )
        now = Vitals.of(mesh)
        assert (now.pid, now.epochs) == (self.pid, self.epochs)
        assert now.failures == self.failures
        raised = alarms(mesh)[self.alarms :]
        assert not raised, "\n".join(raised)


def failures(metrics: str) -> float:
    """Requests answered with a 5xx other than those that say what isn't offered."""
    found = _FAILED.findall(metrics)
    return sum(float(number) for code, number in found if code not in _MEANT)


def alarms(mesh: Mesh) -> list[str]:
    lines = mesh.gateway.log.read_text(errors="replace").splitlines()
    return [line for line in lines if _ALARMS.search(line) and _LEFT not in line]
