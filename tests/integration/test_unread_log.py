"""A standard error that nobody reads stops no request, whatever a gateway has to say."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from chaos.mesh import ROOT, Mesh, Process
from protos.orphans import die_with


class Unread(Process):
    """Its standard error is a pipe that is full from the start."""

    def __init__(self, name: str, arguments: list[str], folder: Path) -> None:
        self.name = name
        self.may_end = False
        self.log = folder / f"{name}.log"
        self.log.touch()
        self._unread, full = os.pipe()  # stays open: with nobody there, writing would fail
        os.set_blocking(full, False)
        try:
            while True:
                os.write(full, b"." * 4096)
        except BlockingIOError:
            os.set_blocking(full, True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=full,
            preexec_fn=partial(die_with, os.getpid()),
        )
        os.close(full)


class UnreadMesh(Mesh):
    def _start(self, name: str, arguments: list[str]) -> Process:
        process = Unread(name, arguments, self.folder)
        self._processes.append(process)
        return process


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    with UnreadMesh(tmp_path) as made:
        yield made


def live(mesh: Mesh) -> bool:
    try:
        return httpx.get(f"{mesh.url}/v2/health/live", timeout=5.0).status_code == 200
    except httpx.TransportError:
        return False


def test_a_gateway_whose_log_nobody_reads_serves_and_stops(mesh: Mesh) -> None:
    mesh.wait(lambda: live(mesh), "the gateway to serve")  # it has said so, or so it thinks
    mesh.write_route("bad.yaml", "kind: Nonsense")
    mesh.wait(lambda: "penstock_routes_stale 1" in mesh.metrics(), "the bad route to be refused")
    assert live(mesh)
    assert mesh.gateway.stop() == 0
