"""The processes of a model's other ranks, as rank 0 has them: it starts, tells and ends them."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import orjson

from backends.llm.parallel.job import Job

PATIENCE = 5.0  # seconds for a rank to end


class Mates(Protocol):
    """The other ranks, beside what all say to each other in the group."""

    @property
    def lost(self) -> str:
        """Which of them has ended; "" while none has."""
        ...

    def read(self, id_: str, folder: Path, digest: str) -> None:
        """Has all of them read an adapter; raises ValueError if one can't, or finds other files."""
        ...

    def drop(self, id_: str) -> None:
        """None of them keeps the adapter any longer."""
        ...

    def close(self) -> None:
        """Ends them."""
        ...


class Ranks:
    """Processes on this machine, one for each job. They end with this process, however it ends."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._telling = threading.Lock()
        self._reading = threading.Lock()  # which takes long: nothing else waits for it
        self._processes = [_Process(job) for job in jobs]

    def wait_here(self) -> None:
        """Until all of them are about to join the group; raises ValueError if one has ended."""
        for each in self._processes:
            each.answer()

    def wait_read(self) -> list[int]:
        """Until all of them have read their parts: the bytes of weights that each holds.

        Raises ValueError if one can't.
        """
        return [int(each.answer()["held"]) for each in self._processes]

    @property
    def lost(self) -> str:
        ended = [each.ended for each in self._processes if each.ended]
        return ended[0] if ended else ""

    def read(self, id_: str, folder: Path, digest: str) -> None:
        faults: list[ValueError] = []
        with self._reading:
            self._tell({"read": id_, "folder": str(folder.resolve()), "digest": digest})
            # All answers are taken, or the next reading would get those of this one.
            for each in self._processes:
                try:
                    each.answer()
                except ValueError as fault:
                    faults.append(fault)
        if faults:
            self.drop(id_)
            raise faults[0]

    def drop(self, id_: str) -> None:
        self._tell({"drop": id_})

    def close(self) -> None:
        for each in self._processes:
            each.hang_up()
        for each in self._processes:
            each.wait()

    def _tell(self, message: dict[str, str]) -> None:
        with self._telling:
            for each in self._processes:
                each.tell(message)


class _Process:
    def __init__(self, job: Job) -> None:
        self._rank = job.rank
        self._process = subprocess.Popen(
            [sys.executable, "-m", "backends.llm.parallel.rank"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._write(job.line())

    @property
    def ended(self) -> str:
        status = self._process.poll()
        return "" if status is None else f"rank {self._rank} has ended with status {status}"

    def tell(self, message: dict[str, str]) -> None:
        self._write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))

    def answer(self) -> dict[str, Any]:
        """What it says next; raises ValueError if that is why it can't."""
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise ValueError(f"the process of rank {self._rank} has ended")
        answer: dict[str, Any] = orjson.loads(line)
        if "fault" in answer:
            raise ValueError(answer["fault"])
        return answer

    def hang_up(self) -> None:
        """The end of its standard input is its end."""
        with contextlib.suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()

    def wait(self) -> None:
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _pipe(self._process.stdout).close()

    def _write(self, line: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended, which `ended` and `answer` say
            pipe = _pipe(self._process.stdin)
            pipe.write(line)
            pipe.flush()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("a rank was started without pipes")
    return pipe
