"""Child processes of a benchmark: started on chosen cores, accounted for, never left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
# One thread a process: on few cores the libraries' own pools would be measured, not the servers.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


class Child:
    """A command with its descendants; its output goes to a file, shown if it ends too early."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, cores: Sequence[int] = ()
    ) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | _ONE_THREAD,
                start_new_session=True,
            )
        if cores:
            os.sched_setaffinity(self.process.pid, cores)  # before it has threads or children

    def pids(self) -> list[int]:
        """Itself and its descendants."""
        found = [self.process.pid]
        for pid in found:
            for task in _tasks(pid):
                with contextlib.suppress(OSError):
                    found += map(int, (task / "children").read_text().split())
        return found

    def cpu(self) -> float:
        """Seconds of user and system time of all its processes (in ticks of 10 ms)."""
        return sum(_cpu(Path(f"/proc/{pid}")) for pid in self.pids())

    def main_thread_cpu(self) -> float:
        """Seconds of the process's first thread, which runs the event loop."""
        pid = self.process.pid
        return _cpu(Path(f"/proc/{pid}/task/{pid}"))

    def check(self) -> None:
        """Raises RuntimeError with the end of its output if it has ended."""
        if self.process.poll() is not None:
            tail = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{tail}")

    def end(self) -> None:
        """Asks once, then insists; descendants that it left are ended as well."""
        pids = self.pids()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def _tasks(pid: int) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from Path(f"/proc/{pid}/task").iterdir()


def _cpu(place: Path) -> float:
    try:
        fields = (place / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


@contextlib.contextmanager
def children() -> Iterator[list[Child]]:
    """Whatever is appended to the list is ended on the way out, last come first."""
    started: list[Child] = []
    try:
        yield started
    finally:
        for child in reversed(started):
            child.end()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody uses now."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
        return ports


def wait_for_port(child: Child, port: int, seconds: float = 30.0) -> None:
    """Returns once the child accepts connections; raises TimeoutError or RuntimeError."""
    until = time.monotonic() + seconds
    while True:
        child.check()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        if time.monotonic() > until:
            raise TimeoutError(f"{child.name} does not listen on port {port}")
        time.sleep(0.05)
