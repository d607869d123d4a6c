"""A model server that is started with the backend is started again, and ends with it."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backends.openai import server as started

WAIT = 30.0

# Writes its own and its child's id, then waits.
PROGRAM = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()} {child.pid}\\n")
time.sleep(600)
"""


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[None]:
    task = asyncio.create_task(started.keep_running(arguments))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def lines(file: Path, number: int) -> list[list[int]]:
    async with asyncio.timeout(WAIT):
        while not file.exists() or file.read_text().count("\n") < number:  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.01)
    return [[int(pid) for pid in line.split()] for line in file.read_text().splitlines()]  # noqa: ASYNC240


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_it_ends_with_us_and_so_does_what_it_started(tmp_path):
    file = tmp_path / "pids"
    async with running(sys.executable, "-c", PROGRAM, str(file)):
        ((server, child),) = await lines(file, 1)
        assert alive(server)
        assert alive(child)
    async with asyncio.timeout(WAIT):
        while alive(server) or alive(child):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_one_that_ends_is_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(started, "FIRST_PAUSE", 0.01)
    file = tmp_path / "pids"
    async with running(sys.executable, "-c", PROGRAM, str(file)):
        ((server, child),) = await lines(file, 1)
        os.kill(server, 9)
        _, (again, _) = await lines(file, 2)
        assert again != server
        assert not alive(child)


async def test_a_program_that_is_not_there_is_tried_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(started, "FIRST_PAUSE", 0.01)
    async with running(str(tmp_path / "nothing")):
        async with asyncio.timeout(WAIT):
            while len(caplog.records) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert "No such file" in caplog.text


@pytest.mark.parametrize("status", [0, 3])
async def test_how_it_ended_is_told(status):
    assert await started._run([sys.executable, "-c", f"raise SystemExit({status})"]) == (
        f"ended with status {status}"
    )
