"""`penstock shadow report` over a real store."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.reports.commands import app
from gateway.store.engine import open_store
from protos.errors import PenstockError
from tests.command_line import penstock
from tests.gateway.reports.made_records import NOW, Made, records

CONFIG = """
apiVersion: penstock/v1
kind: Penstock
stateFolder: state
routes: routes
"""
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {name: fraud}
spec:
  match: [{model: fraud}]
  backends:
    - {name: stable, model: fraud, version: "3", weight: 100}
    - {name: canary, model: fraud, version: "5", weight: 0}
  rollout:
    steps: [{setWeight: 50}]
    analysis:
      baseline: stable
      metrics: [{name: disagreement, maxAboveNoise: 7pp}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shadow")
    (folder / "penstock.yaml").write_text(CONFIG)
    (folder / "routes").mkdir()
    late = time.time() - NOW - 1
    store = open_store(f"sqlite:///{folder}/state/records.db")
    made = [*records(2000, Made(flips=0.03)), *records(50, Made(route="loans"))]
    store.pairs.append([replace(each, at=each.at + late) for each in made])
    store.close()
    return folder


def report(folder: Path, *arguments: str):
    file = ("--config", str(folder / "penstock.yaml"))
    return CliRunner().invoke(app, ["report", *arguments, *file], catch_exceptions=False)


def test_text_goes_to_standard_output(folder: Path):
    done = report(folder, "--route", "fraud")
    assert done.exit_code == 0
    assert "Shadow report: fraud" in done.stdout
    assert "Disagreement above noise" in done.stdout


def test_json_is_nothing_but_json(folder: Path):
    done = report(folder, "--route", "fraud", "--format", "json")
    (found,) = json.loads(done.stdout)["reports"]
    assert found["samples"]["sampled"] > 1900


def test_html_goes_to_a_file(folder: Path, tmp_path: Path):
    file = tmp_path / "report.html"
    done = report(folder, "--route", "fraud", "--format", "html", "--output", str(file))
    assert done.exit_code == 0
    assert done.stdout == ""
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_bounds_are_those_of_the_route_s_rollout(folder: Path):
    (folder / "routes" / "fraud.yaml").write_text(ROUTE)
    done = report(folder, "--route", "fraud", "--format", "json")
    (folder / "routes" / "fraud.yaml").unlink()
    verdict = json.loads(done.stdout)["reports"][0]["verdict"]
    bounds = {each["name"]: each["bound"] for each in verdict["checks"]}
    assert (bounds["disagreement"], verdict["criteria"]) == (0.07, "the route's rollout")


def test_routes_that_cannot_be_read_are_no_reason_to_say_nothing(folder: Path):
    (folder / "routes" / "bad.yaml").write_text("kind: [")
    done = report(folder, "--route", "fraud")
    (folder / "routes" / "bad.yaml").unlink()
    assert done.exit_code == 0
    assert "the default bounds hold" in done.stderr


def test_a_route_without_records_is_told_which_have_some(folder: Path):
    done = report(folder, "--route", "frauds")
    assert done.exit_code == 1
    assert "Nothing was mirrored in the last 24h for route frauds." in done.stderr
    assert "There are records of: fraud, loans." in done.stderr
    assert done.stdout == ""


def test_a_window_that_is_too_short_says_that_there_is_more(folder: Path):
    done = report(folder, "--route", "loans", "--mirror", "other")
    assert done.exit_code == 1
    assert "try a longer --since" in done.stderr


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path):
    (tmp_path / "penstock.yaml").write_text(CONFIG.replace("routes: routes\n", ""))
    open_store(f"sqlite:///{tmp_path}/state/records.db").close()
    done = report(tmp_path, "--route", "fraud")
    assert done.exit_code == 1
    assert "The store holds no records at all" in done.stderr


def test_a_store_that_no_gateway_made_is_said_and_not_made(tmp_path: Path):
    (tmp_path / "penstock.yaml").write_text(CONFIG.replace("routes: routes\n", ""))
    with pytest.raises(PenstockError, match=r"records\.db isn't there; a gateway makes it"):
        report(tmp_path, "--route", "fraud")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("since", "sentence"), [("24", "a duration is written"), ("0s", "must be more than zero")]
)
def test_a_duration_that_is_none_is_refused(folder: Path, since: str, sentence: str):
    done = report(folder, "--route", "fraud", "--since", since)
    assert done.exit_code == 2
    assert sentence in done.output


def test_a_file_that_cannot_be_written_is_named(folder: Path):
    with pytest.raises(PenstockError, match="--output /nowhere/at/all: No such file"):
        report(folder, "--route", "fraud", "--output", "/nowhere/at/all")


def test_a_file_that_is_no_store_is_told_in_a_sentence(tmp_path: Path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "records.db").write_text("this is no database")
    (tmp_path / "penstock.yaml").write_text(CONFIG)
    with pytest.raises(PenstockError, match=r"records\.db can't be read"):
        report(tmp_path, "--route", "fraud")


def test_it_is_a_command_of_penstock(folder: Path):
    command = ("shadow", "report", "--route", "nothing")
    done = penstock(*command, "--config", str(folder / "penstock.yaml"))
    assert done.returncode == 1, done.stderr
    assert "Nothing was mirrored" in done.stderr
