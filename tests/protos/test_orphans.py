"""A process ends with the one that started it."""

import os
import signal
import subprocess
import sys

CHILD = (
    "import os, time; from protos.orphans import die_with; die_with({}); "
    "print(os.getpid(), flush=True); time.sleep(60)"
)


def test_a_child_ends_when_its_parent_is_killed():
    middle = (
        "import os, subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-c', {CHILD!r}.format(os.getpid())]); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", middle], stdout=subprocess.PIPE, text=True)
    output = parent.stdout
    child = int(output.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert output.read() == ""  # its end is the child's as well, which held it open
    output.close()
    assert child != parent.pid


def test_one_whose_parent_is_gone_already_does_not_begin():
    done = subprocess.run([sys.executable, "-c", CHILD.format(1)], capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
