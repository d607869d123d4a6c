"""`penstock-chaos`: what it shows, refuses and writes."""

import json
import runpy
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chaos.__main__ as command
from chaos.experiment import Experiment, Result, experiments
from chaos.verdict import Verdict


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        command._app(words, prog_name="penstock-chaos")
    return int(ended.value.code or 0)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """How experiments end, by name; they are kept unless it says otherwise."""
    states: dict[str, Any] = {}

    def run_one(experiment: Experiment, folder: Path, *, short: bool, seed: int) -> Result:
        if experiment.name == states.get("interrupted"):
            raise KeyboardInterrupt
        state = states.get(experiment.name, "kept")
        folder.mkdir()
        (folder / "requests.jsonl").write_text("")
        verdict = Verdict(state == "kept", "no request failed", "0 of 3", "0")
        return Result(
            experiment.name, experiment.promise, experiment.question, state, 1.0, "", (verdict,)
        )

    monkeypatch.setattr(command, "run_one", run_one)
    before = signal.getsignal(signal.SIGTERM)
    yield states
    signal.signal(signal.SIGTERM, before)


def test_the_list_has_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0

    shown = capsys.readouterr().out
    assert [each.name for each in experiments() if each.name not in shown] == []


def test_a_name_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "backend-kiled") == 2
    assert "there is no experiment 'backend-kiled'" in capsys.readouterr().err


def test_a_promise_that_has_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "--promise", "99") == 2
    assert "no experiment is all of that" in capsys.readouterr().err


def test_kept_promises_end_well_and_are_reported(ended: dict[str, Any], tmp_path: Path) -> None:
    assert run("run", "backend-killed", "--report", str(tmp_path)) == 0

    assert "| `backend-killed` | no request failed |" in (tmp_path / "report.md").read_text()
    assert "Chaos report" in (tmp_path / "index.html").read_text()
    (told,) = json.loads((tmp_path / "results.json").read_text())
    assert told["state"] == "kept"


def test_one_broken_promise_is_a_failure(ended: dict[str, Any], tmp_path: Path) -> None:
    ended["backend-killed"] = "broken"

    assert run("run", "--promise", "1", "--report", str(tmp_path)) == 1


def test_what_is_not_run_is_no_failure_and_no_success(
    ended: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended["backend-killed"] = "not run"

    assert run("run", "backend-killed", "--report", str(tmp_path)) == 0
    assert "1 experiment: 1 not run." in capsys.readouterr().out


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_run(
    ended: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file := tmp_path / "file").write_text("")
    ended["interrupted"] = "backend-killed"

    assert run("run", "backend-killed", "--report", str(file)) == 2
    assert "no report can be written" in capsys.readouterr().err


def test_what_was_found_before_an_interruption_is_reported(
    ended: dict[str, Any], tmp_path: Path
) -> None:
    first, second = [each.name for each in experiments() if each.promise == 1][:2]
    ended["interrupted"] = second

    assert run("run", first, second, "--report", str(tmp_path)) != 0
    (told,) = json.loads((tmp_path / "results.json").read_text())
    assert told["name"] == first


def test_sigterm_is_as_an_interruption(ended: dict[str, Any], tmp_path: Path) -> None:
    assert run("run", "backend-killed", "--report", str(tmp_path)) == 0

    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_histories_of_earlier_runs_go_and_other_files_stay(
    ended: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("backend-hung", "mine"):
        (tmp_path / "histories" / name).mkdir(parents=True)

    assert run("run", "backend-killed", "--report", str(tmp_path)) == 0
    kept = {each.name for each in (tmp_path / "histories").iterdir()}
    assert kept == {"backend-killed", "mine"}


def test_json_is_a_line_a_result_on_standard_output(
    ended: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", "backend-killed", "--json", "--report", str(tmp_path)) == 0

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["name"] == "backend-killed"


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(SystemExit, match=r"needs aiohttp.*pip install 'penstock\[chaos\]'"):
        runpy.run_path(str(command.__file__))
