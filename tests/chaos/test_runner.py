"""An experiment in a process of its own: what becomes of one that hangs or says nothing."""

from pathlib import Path

import pytest

from chaos import results, runner
from chaos.experiment import Experiment, Result
from chaos.probe import Need


async def nothing(_: object) -> None:
    """Experiments are found by their names in the process that runs them."""


ONE = Experiment("one", 1, "a question", nothing)
KEPT = Result("one", 1, "a question", "kept", 1.0)


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Lets experiments be this shell script, whose $4 is the experiment and $5 the folder."""

    def is_(script: str) -> None:
        file = tmp_path / "python"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o700)
        monkeypatch.setattr(runner.sys, "executable", str(file))

    return is_


def run(folder: Path) -> Result:
    return runner.run(ONE, folder / "one", short=False, seed=1)


def test_what_it_wrote_is_its_result(tmp_path: Path, child) -> None:
    results.write(KEPT, tmp_path)
    child(f'cp {tmp_path / results.FILE} "$5"')
    assert run(tmp_path) == KEPT


def test_without_a_result_it_is_broken_with_its_last_words(tmp_path: Path, child) -> None:
    child('echo "out of $4"; exit 3')
    result = run(tmp_path)
    assert (result.state, result.why) == ("broken", "ended without a result: out of one\n")


def test_one_that_takes_too_long_is_told_to_end_and_may_tidy_up(
    tmp_path: Path, child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LIMIT", 1.0)
    child("trap 'echo tidy; exit' TERM; while :; do sleep 0.05; done")
    result = run(tmp_path)
    assert (result.state, result.why) == ("broken", "took longer than 1 s: tidy\n")


def test_one_that_does_not_end_is_killed(
    tmp_path: Path, child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LIMIT", 0.5)
    monkeypatch.setattr(runner, "PARTING", 0.5)
    child("trap '' TERM; while :; do sleep 0.05; done")
    assert run(tmp_path).state == "broken"


def test_what_the_machine_lacks_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "missing", lambda needs: [Need.REDIS])
    result = run(tmp_path)
    assert (result.state, result.why) == ("not run", f"needs {Need.REDIS}")
    assert not (tmp_path / "one").exists()
