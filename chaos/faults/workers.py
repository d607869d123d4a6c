"""Workers of a gateway, which its supervisor started: found by their parent, killed by their id."""

import os
import signal
from pathlib import Path

from chaos.processes import Process


def workers(gateway: Process) -> list[int]:
    """The ids of its worker processes."""
    children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"gateway.worker_process" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    ]


def kill(worker: int) -> None:
    """kill -9."""
    os.kill(worker, signal.SIGKILL)


def gone(worker: int) -> bool:
    return not Path(f"/proc/{worker}").exists()
