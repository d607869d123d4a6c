"""One process of a mesh, which ends with whoever started it, however that ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from protos.orphans import die_with

ROOT = Path(__file__).parents[1]
_ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
PATIENCE = 60.0  # seconds for anything to become true; the machine may be busy


class Process:
    """One child with its output in a file, or in the descriptor `output`."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        output: int | None = None,
    ) -> None:
        self.name = name
        self.may_end = False  # by itself, with an error; of others that is a test's failure
        self._told = False
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log if output is None else output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                preexec_fn=partial(die_with, os.getpid()),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    @property
    def crashed(self) -> bool:
        """Whether it ended with an error, or by a signal that nobody here sent."""
        status = self.status or 0
        return not self.may_end and (status > 0 or (status < 0 and not self._told))

    def signal(self, number: int) -> None:
        if number in _ENDS and self.status is None:
            self._told = True
        self._process.send_signal(number)

    def stop(self) -> int:
        """Asks it to finish and waits until it has; the exit status."""
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not finish:\n{self.last_words()}") from None

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]
