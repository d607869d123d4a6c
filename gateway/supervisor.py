"""The workers of a gateway with several: processes that share one listening socket.

They are spawned, never forked (gRPC doesn't survive a fork), and started again when they crash;
the others keep serving meanwhile.
"""

import asyncio
import socket
import sys
from pathlib import Path

from gateway.children import Child, Command
from gateway.config import Config
from gateway.grace import AFTER_DRAIN


class Workers:
    """`config.workers` processes, attached to the supervisor at `address`."""

    def __init__(self, config: Config, file: Path, http: socket.socket, address: str) -> None:
        self._grace = config.limits.drain_timeout + AFTER_DRAIN + 2.0
        self._children = [
            Child(
                Command(
                    f"worker {index}",
                    (
                        *(sys.executable, "-m", "gateway.worker_process", str(file)),
                        *("--port-offset", str(config.port_offset)),
                        *("--index", str(index), "--http", str(http.fileno())),
                        *("--supervisor", address),
                        *("--log-format", config.telemetry.logs.format),
                    ),
                    descriptors=(http.fileno(),),
                ),
                _tell,
            )
            for index in range(config.workers)
        ]

    def start(self) -> None:
        for child in self._children:
            child.start()

    async def stop(self) -> None:
        """Drains all workers at once."""
        await asyncio.gather(*(child.stop(self._grace) for child in self._children))


def _tell(line: str) -> None:
    """A worker's line is this process's own, and goes where those go."""
    print(line, file=sys.stderr, flush=True)
