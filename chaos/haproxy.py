"""The balancer that the Compose deployment has before its gateways, before those of a site."""

import os
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from chaos.mesh import Mesh
from chaos.ports import free_ports
from chaos.probe import find
from chaos.processes import ROOT
from protos.orphans import die_with

CONFIGURATION = ROOT / "deploy" / "compose" / "haproxy.cfg"
STOPS_WITHIN = 20.0  # seconds


class Haproxy:
    """`url` leads to the gateways' REST faces. Raises FileNotFoundError without the program."""

    def __init__(self, folder: Path, gateways: Sequence[Mesh]) -> None:
        rest, grpc = free_ports(2)
        self.url = f"http://127.0.0.1:{rest}"
        self._file = folder / "haproxy.cfg"
        self._file.write_text(_configuration(gateways, rest, grpc))
        self._log = folder / "haproxy.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [find("haproxy"), "-db", "-f", self._file],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=partial(die_with, os.getpid()),
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOPS_WITHIN)


def _configuration(gateways: Sequence[Mesh], rest: int, grpc: int) -> str:
    """The deployment's own, with addresses where it has names. Raises ValueError if it changed."""
    ports = [each.ports for each in gateways]
    servers = "\n".join(f"    server g{n} 127.0.0.1:{p['http']} check" for n, p in enumerate(ports))
    rpcs = "\n".join(
        f"    server g{n} 127.0.0.1:{p['grpc']} proto h2 check port {p['http']} check-proto h1"
        for n, p in enumerate(ports)
    )
    text = CONFIGURATION.read_text()
    for there, here in (
        ("    server-template gateway 8 gateway:8000 check", servers),
        (
            "    server-template gateway 8 gateway:8001 proto h2 check port 8000 check-proto h1",
            rpcs,
        ),
        ("bind :8000", f"bind 127.0.0.1:{rest}"),
        ("bind :8001", f"bind 127.0.0.1:{grpc}"),
        ("maxconn 8000", "maxconn 1000"),  # whatever the limit of descriptors is here
        ("init-addr none resolvers docker resolve-prefer ipv4 ", ""),  # there are no names
    ):
        if there not in text:
            raise ValueError(f"{CONFIGURATION.name}: {there.strip()!r} is not there any more")
        text = text.replace(there, here)
    return text
