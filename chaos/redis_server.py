"""A real Redis on a free port, with nothing on disk, that can be stopped, killed and filled."""

import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from chaos.ports import free_ports
from protos.orphans import die_with

PATIENCE = 30.0  # seconds for it to start; the machine may be busy


class RedisServer:
    """`flags` are redis-server's own. It ends with the process that started it."""

    def __init__(self, program: Path, folder: Path, *flags: str) -> None:
        self._program = program
        self._folder = folder
        self._flags = flags
        folder.mkdir(parents=True, exist_ok=True)
        (self.port,) = free_ports(1)
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it accepts connections. Raises RuntimeError if it doesn't."""
        port = () if "--tls-port" in self._flags else ("--port", str(self.port))
        log = self._folder / "redis.log"
        self._process = subprocess.Popen(
            [
                *(str(self._program), *port, "--bind", "127.0.0.1"),
                *("--save", "", "--appendonly", "no"),
                *("--dir", str(self._folder), "--logfile", str(log), *self._flags),
            ],
            stdin=subprocess.DEVNULL,
            preexec_fn=partial(die_with, os.getpid()),
        )
        begun = time.monotonic()
        while not (log.exists() and "Ready to accept connections" in log.read_text()):
            said = log.read_text() if log.exists() else ""
            if self._process.poll() is not None or time.monotonic() - begun > PATIENCE:
                raise RuntimeError(f"redis-server did not start:\n{said}")
            time.sleep(0.01)
        log.unlink()

    def pause(self) -> None:
        """It hangs: connections are accepted by the kernel, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
