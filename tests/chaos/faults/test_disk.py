"""A process whose files can't grow."""

import subprocess
import sys
from pathlib import Path

import pytest

from chaos.faults.disk import full

WRITES = """
import sys
for line in sys.stdin:
    try:
        with open({file!r}, "a") as file:
            file.write("x")
        print("written", flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


class Writer:
    """Writes a letter to a file each time it is asked."""

    def __init__(self, file: Path) -> None:
        command = [sys.executable, "-c", WRITES.format(file=str(file))]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def status(self) -> int | None:
        return self.process.poll()

    def write(self) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


def test_nothing_can_be_written_until_there_is_room_again(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "file")
    try:
        said = [writer.write()]
        with full(writer):
            said.append(writer.write())
        said.append(writer.write())
    finally:
        writer.process.kill()
        writer.process.communicate()
    assert said == ["written", "OSError", "written"]


def test_a_process_that_has_ended_meanwhile_is_left_alone(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "file")
    with full(writer):
        writer.process.kill()
        writer.process.communicate()
    with pytest.raises(ProcessLookupError), full(writer):
        pass
