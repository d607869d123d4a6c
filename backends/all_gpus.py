"""One backend process for each GPU of this machine: `--all-gpus`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

RESTART_AFTER = 1.0  # seconds
LOOK_EVERY = 0.2


def visible_gpus() -> list[int]:
    """Device numbers as CUDA will count them, without loading a framework."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return list(range(len([each for each in visible.split(",") if each.strip()])))
    return list(range(len(list(Path("/proc/driver/nvidia/gpus").glob("*")))))


def run_on_all(arguments: Sequence[str], name: str, gpus: Sequence[int]) -> int:
    """Runs `python -m backends ARGUMENTS` for each GPU until a signal; restarts what crashes."""
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    children = {gpu: _start(arguments, name, gpu) for gpu in gpus}
    while not stopping:
        time.sleep(LOOK_EVERY)
        for gpu, child in children.items():
            if child.poll() is not None and not stopping:
                time.sleep(RESTART_AFTER)
                children[gpu] = _start(arguments, name, gpu)
    for child in children.values():
        child.send_signal(signal.SIGTERM)
    return max(child.wait() for child in children.values())


def _start(arguments: Sequence[str], name: str, gpu: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "backends", *arguments, "--device", f"cuda:{gpu}"]
    return subprocess.Popen([*command, "--name", f"{name}-{gpu}"])
