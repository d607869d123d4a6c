"""A standard error that nobody reads stops no request, whatever a gateway has to say."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chaos.mesh import Mesh
from chaos.processes import Process


class UnreadMesh(Mesh):
    """The gateway's output is a pipe that is full from the start."""

    def start_gateway(self, output: int | None = None) -> Process:
        self._unread, full = os.pipe()  # stays open: with nobody there, writing would fail
        os.set_blocking(full, False)
        try:
            while True:
                os.write(full, b"." * 4096)
        except BlockingIOError:
            os.set_blocking(full, True)
        try:
            return super().start_gateway(full)
        finally:
            os.close(full)


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
