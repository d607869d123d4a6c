"""Children are restarted with growing pauses, told line by line, and never outlive us."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from gateway.children import Backoff, Child, Command, ended, run


def python(source: str, name: str = "child", **options: object) -> Command:
    return Command(name, (sys.executable, "-u", "-c", source), **options)


async def until(condition, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - processes raise no events of ours
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; zombies don't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_child_that_keeps_crashing_waits_twice_as_long_each_time():
    backoff = Backoff(first=0.5, most=3.0)
    assert [backoff.after(1.0) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_long_run_ends_the_series():
    backoff = Backoff(first=0.5, settled=60.0)
    waits = [backoff.after(ran) for ran in (1.0, 1.0, 61.0, 1.0)]
    assert waits == [0.5, 1.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (3, "ended with status 3"),
        (-9, "was killed by SIGKILL"),
        (-63, "was killed by signal 63"),
    ],
)
def test_an_end_is_told_in_words(status: int, words: str):
    assert ended(status) == words


async def test_output_is_told_line_by_line_however_it_arrives():
    lines: list[str] = []
    source = "import sys; print('one'); print('two', file=sys.stderr); print('three', end='')"
    assert await run(python(source), lines.append) == 0
    assert lines == ["one", "two", "three"]


async def test_a_line_that_never_ends_is_told_in_pieces():
    lines: list[str] = []
    await run(python("print('x' * 100_000, end='')"), lines.append)
    assert len(lines) > 1
    assert "".join(lines) == "x" * 100_000


async def test_output_that_is_no_text_does_no_harm():
    lines: list[str] = []
    await run(python(r"import os; os.write(1, b'\xff\xfe\n')"), lines.append)
    assert lines == ["\ufffd\ufffd"]


async def test_the_environment_is_ours_and_the_commands():
    lines: list[str] = []
    source = "import os; print(os.environ['PATH'] != '', os.environ['EXTRA'])"
    await run(python(source, environment={"EXTRA": "here"}), lines.append)
    assert lines == ["True here"]


async def test_a_child_computes_on_its_cores_only():
    core = min(os.sched_getaffinity(0))
    lines: list[str] = []
    await run(python("import os; print(os.sched_getaffinity(0))", cores=(core,)), lines.append)
    assert lines == [f"{{{core}}}"]


async def test_a_child_inherits_the_descriptors_that_are_named():
    reading, writing = os.pipe()
    source = f"import os; os.write({writing}, b'through the pipe')"
    assert await run(python(source, descriptors=(writing,)), print) == 0
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "through the pipe"


async def test_a_crashed_child_is_announced_and_started_again():
    lines: list[str] = []
    child = Child(python("print('here'); raise SystemExit(7)"), lines.append, Backoff(first=0.05))
    child.start()
    await until(lambda: lines.count("here") == 3)
    await child.stop(1.0)
    assert lines[:4] == [
        "here",
        "ended with status 7; starting it again in 0.05 s",
        "here",
        "ended with status 7; starting it again in 0.1 s",
    ]


async def test_a_command_that_does_not_exist_is_announced_and_tried_again():
    lines: list[str] = []
    child = Child(Command("absent", ("/does/not/exist",)), lines.append, Backoff(first=0.05))
    child.start()
    await until(lambda: len(lines) >= 4)
    await child.stop(1.0)
    assert lines[0] == "can't be started: No such file or directory"


def test_a_gateway_supervises_its_workers_on_uvloop():
    lines: list[str] = []

    async def crash_and_stop() -> None:
        source = "import os; print(os.getpgid(0) == os.getpid()); os.abort()"
        child = Child(python(source), lines.append, Backoff(first=0.05))
        child.start()
        await until(lambda: lines.count("True") == 2)
        await child.stop(1.0)

    uvloop.run(crash_and_stop())
    assert lines[:2] == ["True", "was killed by SIGABRT; starting it again in 0.05 s"]


async def test_stopping_lets_a_child_finish():
    lines: list[str] = []
    source = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('finished')))\n"
        "print('here'); signal.pause()"
    )
    child = Child(python(source), lines.append)
    child.start()
    await until(lambda: "here" in lines)
    await child.stop(10.0)
    assert lines == ["here", "finished"]
    assert child.pid is None


async def test_a_child_that_does_not_finish_is_killed():
    lines: list[str] = []
    source = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here')\n"
        "while True: signal.pause()"
    )
    child = Child(python(source), lines.append)
    child.start()
    await until(lambda: "here" in lines)
    await child.stop(0.1)
    assert lines[-1] == "did not finish in 0.1 s and is killed"
    assert child.pid is None


async def test_what_a_child_started_ends_with_it():
    lines: list[str] = []
    source = (
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)\n"
    )
    assert await run(python(source), lines.append) == 0
    await until(lambda: not alive(int(lines[0])))


async def test_an_abandoned_run_ends_its_process():
    lines: list[str] = []
    source = "import os, time; print(os.getpid()); time.sleep(60)"
    running = asyncio.create_task(run(python(source), lines.append))
    await until(lambda: lines)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await until(lambda: not alive(int(lines[0])))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_children_of_a_parent_that_is_killed_are_killed():
    source = (
        "import asyncio, sys\n"
        "from gateway.children import Command, run\n"
        "sleep = 'import os, time; print(os.getpid()); time.sleep(60)'\n"
        "command = Command('child', (sys.executable, '-u', '-c', sleep))\n"
        "asyncio.run(run(command, lambda line: print(line, flush=True)))\n"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        child = int(up.stdout.readline())
        up.send_signal(signal.SIGKILL)
    asyncio.run(until(lambda: not alive(child)))
