"""Child processes, their CPU time, and wrk."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")


class Child:
    """A module run in a fresh interpreter; its first line of output is a JSON object that says where it listens."""

    def __init__(self, module: str, *args: str, pass_fds: tuple[int, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.experiments.{module}", *args],
            stdout=subprocess.PIPE,
            pass_fds=pass_fds,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        self.hello: dict[str, Any] = {}

    def ready(self) -> Child:
        assert self.process.stdout
        self.hello = json.loads(self.process.stdout.readline())
        return self

    def cpu(self) -> float:
        """Seconds of user and system time, all threads (10 ms ticks)."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def children() -> Iterator[list[Child]]:
    """Whatever is appended to the list is ended on the way out."""
    started: list[Child] = []
    try:
        yield started
    finally:
        for child in started:
            child.end()


@dataclass(slots=True)
class Load:
    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: int
    socket_errors: str


_UNIT = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def wrk(url: str, body: bytes, connections: int, seconds: float) -> Load:
    """One run of wrk posting `body`."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f"wrk.method='POST'\nwrk.body=[[{body.decode()}]]\nwrk.headers['content-type']='application/json'\n"
        )
        script.flush()
        out = subprocess.run(
            [
                "wrk",
                "-t1",
                f"-c{connections}",
                f"-d{seconds}s",
                "--latency",
                "-s",
                script.name,
                url,
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def quantile(percent: int) -> float:
        value, unit = re.search(rf"\b{percent}%\s+([\d.]+)(us|ms|s)\b", out).groups()  # type: ignore[union-attr]
        return float(value) * _UNIT[unit]

    requests = int(re.search(r"(\d+) requests in", out).group(1))  # type: ignore[union-attr]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))  # type: ignore[union-attr]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    lost = re.search(r"Socket errors: .*", out)
    value, unit = re.search(r"Latency(?:\s+[\d.]+(?:us|ms|s)){2}\s+([\d.]+)(us|ms|s)", out).groups()  # type: ignore[union-attr]
    return Load(
        requests,
        rate,
        quantile(50),
        quantile(99),
        float(value) * _UNIT[unit],
        int(bad.group(1)) if bad else 0,
        lost.group(0) if lost else "",
    )
