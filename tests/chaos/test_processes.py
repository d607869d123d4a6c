"""Processes of a mesh: which ended unasked, and that one which is stuck keeps no other alive."""

import time
from pathlib import Path

import pytest

from chaos.mesh import Mesh
from chaos.processes import Process

ENDS = "import os, signal, sys; {}"
STAYS = "import time; time.sleep(600)"
DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); " + STAYS
)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Starts what a module of that text does."""
    begun: list[Process] = []
    (folder := tmp_path / "modules").mkdir()
    environment = {"PYTHONPATH": str(folder)}

    def one(code: str) -> Process:
        name = f"module{len(begun)}"
        (folder / f"{name}.py").write_text(code)
        begun.append(Process(name, [name], tmp_path, environment))
        return begun[-1]

    yield one
    for each in begun:
        if each.status is None:
            each.kill()


def ended(process: Process) -> Process:
    while process.status is None:
        time.sleep(0.01)
    return process


@pytest.mark.parametrize(
    ("code", "crashed"),
    [
        ("sys.exit(0)", False),
        ("sys.exit(1)", True),
        ("os.kill(os.getpid(), signal.SIGKILL)", True),
        ("os.kill(os.getpid(), signal.SIGSEGV)", True),
    ],
)
def test_who_ends_with_an_error_or_a_signal_of_somebody_else_has_crashed(start, code, crashed):
    process = ended(start(ENDS.format(code)))
    assert process.crashed is crashed
    process.may_end = True
    assert not process.crashed


def test_who_was_told_to_end_has_not_crashed(start):
    killed, finished = start(STAYS), start(STAYS)
    assert not killed.crashed
    killed.kill()
    finished.stop()
    assert not killed.crashed
    assert not finished.crashed


def test_who_ended_before_it_was_told_to_has_crashed(start):
    process = ended(start(ENDS.format("os.kill(os.getpid(), signal.SIGKILL)")))
    process.kill()
    assert process.crashed


def test_one_that_does_not_finish_keeps_no_other_running(start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("chaos.processes.PATIENCE", 0.5)
    first, stuck, last = start(STAYS), start(DEAF), start(STAYS)
    while not stuck.last_words():
        time.sleep(0.01)
    mesh = Mesh.__new__(Mesh)
    mesh._processes = [first, stuck, last]
    with pytest.raises(AssertionError, match="module1 did not finish"):
        mesh.__exit__(None, None, None)
    assert None not in [each.status for each in (first, stuck, last)]
