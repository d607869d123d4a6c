"""A process that may open nothing more."""

import time
from pathlib import Path

from chaos.faults.descriptors import exhausted, opened
from chaos.processes import Process

OPENS = """
import sys, time
held = []
print("begun", flush=True)
while True:
    try:
        held.append(open("/dev/null"))
    except OSError:
        print("full", flush=True)
        break
time.sleep(60)
"""


def wait_for(process: Process, word: str) -> None:
    while word not in process.last_words():
        assert process.status is None
        time.sleep(0.02)


def test_it_opens_no_more_than_was_left(tmp_path: Path):
    go = tmp_path / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n{OPENS}"
    process = Process("opens", ["timeit", "-n", "1", "-r", "1", code], tmp_path)
    try:
        before = opened(process)
        with exhausted(process, left=5):
            go.touch()
            wait_for(process, "full")
            assert opened(process) <= before + 5
    finally:
        process.kill()
