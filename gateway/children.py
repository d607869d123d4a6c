"""Child processes that are watched: their output is told, and they start again when they crash.

No child outlives its parent, however that ends: each asks the kernel to be killed when its parent
dies, and leads a process group that is swept when it is gone itself.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from protos.orphans import die_with

Tell = Callable[[str], None]

_LONGEST_LINE = 8192  # bytes; a line that never ends is told in pieces
_LAST_WORDS = 1.0  # seconds that a dead child's output may stay open


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run; `cores` restricts it to these, `environment` adds to our own.

    With `attached` it writes to our terminal itself, otherwise its output is told line by line.
    `descriptors` are open files that it inherits.
    """

    name: str
    arguments: tuple[str, ...]
    cores: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    attached: bool = False


@dataclass(slots=True)
class Backoff:
    """How long a crashed child waits: twice as long each time, from `first` to `most` seconds.

    A run of `settled` seconds ends the series.
    """

    first: float = 0.5
    most: float = 30.0
    settled: float = 60.0
    _next: float = 0.0

    def after(self, ran: float) -> float:
        """Seconds to wait after a run of `ran` seconds."""
        delay = self.first if ran >= self.settled or not self._next else self._next
        self._next = min(2 * delay, self.most)
        return delay


class Child:
    """One command that is kept running until it is stopped."""

    def __init__(self, command: Command, tell: Tell, backoff: Backoff | None = None) -> None:
        self.command = command
        self._tell = tell
        self._backoff = backoff or Backoff()
        self._stopping = asyncio.Event()
        self._transport: asyncio.SubprocessTransport | None = None
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Child {self.command.name} {self.pid or 'not running'}>"

    @property
    def pid(self) -> int | None:
        """The running process; None between a crash and the next start."""
        return None if self._transport is None else self._transport.get_pid()

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_running(), name=self.command.name)

    async def stop(self, grace: float) -> None:
        """Asks the child to finish, and after `grace` seconds kills it with its group."""
        self._stopping.set()
        if self._task is None:
            return
        self._signal(signal.SIGTERM)
        done, _ = await asyncio.wait([self._task], timeout=grace)
        if not done:
            self._tell(f"did not finish in {grace:g} s and is killed")
            self.kill()
        await self._task

    def kill(self) -> None:
        """Ends the child and all that it started at once; `stop` still has to be awaited."""
        self._stopping.set()
        if self.pid is not None:
            _sweep(self.pid)

    def _signal(self, number: int) -> None:
        if self._transport is not None:
            with contextlib.suppress(ProcessLookupError):
                self._transport.send_signal(number)

    async def _keep_running(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            status = await self._run_once()
            if self._stopping.is_set():
                return
            delay = self._backoff.after(time.monotonic() - began)
            self._tell(f"{ended(status)}; starting it again in {delay:g} s")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()

    async def _run_once(self) -> int:
        try:
            self._transport, exit_ = await _spawn(self.command, self._tell)
        except OSError as error:
            self._tell(f"can't be started: {error.strerror}")
            return 127
        if self._stopping.is_set():  # stopped while it was being started
            self._signal(signal.SIGTERM)
        try:
            return await exit_.status
        finally:
            self._transport = None


async def run(command: Command, tell: Tell) -> int:
    """Runs a command once, to its end or ours; its exit status."""
    transport, exit_ = await _spawn(command, tell)
    try:
        return await exit_.status
    finally:
        _sweep(transport.get_pid())


def ended(status: int) -> str:
    """How a process ended, in words; negative statuses are signals."""
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"


async def _spawn(command: Command, tell: Tell) -> "tuple[asyncio.SubprocessTransport, _Protocol]":
    transport, protocol = await asyncio.get_running_loop().subprocess_exec(
        lambda: _Protocol(tell),
        *command.arguments,
        stdin=None if command.attached else asyncio.subprocess.DEVNULL,
        stdout=None if command.attached else asyncio.subprocess.PIPE,
        stderr=None if command.attached else asyncio.subprocess.STDOUT,
        env={**os.environ, **command.environment},
        pass_fds=command.descriptors,
        preexec_fn=partial(_prepare, os.getpid(), command.cores),
    )
    return transport, protocol


def _prepare(parent: int, cores: tuple[int, ...]) -> None:
    """In the new process. Of subprocess's own options for this, uvloop knows none."""
    die_with(parent)
    # A group of its own: Ctrl-C in the terminal reaches us alone, and we stop them in order.
    os.setpgid(0, 0)
    if cores:
        os.sched_setaffinity(0, cores)


def _sweep(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


class _Protocol(asyncio.SubprocessProtocol):
    """Tells a process's output line by line; `status` resolves when all of it has been told."""

    def __init__(self, tell: Tell) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._tell = tell
        self._begun = b""
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._tell_line(line)
        while len(self._begun) > _LONGEST_LINE:
            self._tell_line(self._begun[:_LONGEST_LINE])
            self._begun = self._begun[_LONGEST_LINE:]

    def process_exited(self) -> None:
        # What it started must not outlive it; that also closes the last ends of its output, unless
        # something left the group: then we don't wait for its end.
        if self._transport is not None:
            _sweep(self._transport.get_pid())
            asyncio.get_running_loop().call_later(_LAST_WORDS, self._transport.close)

    def connection_lost(self, error: Exception | None) -> None:
        if self._begun:
            self._tell_line(self._begun)
        status = None if self._transport is None else self._transport.get_returncode()
        if not self.status.done():
            self.status.set_result(-1 if status is None else status)

    def _tell_line(self, line: bytes) -> None:
        self._tell(line.decode(errors="replace").rstrip("\r"))
