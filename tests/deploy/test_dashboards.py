"""Dashboards and alerts are about metrics that there are: all that they ask is asked of a real
Prometheus that watches a real mesh under load."""

import json
import re
import runpy
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.deploy.rendered import DEPLOY
from tests.deploy.watched_mesh import Watched, watched

GRAFANA = DEPLOY / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))

# What can't have data here, by metric, and why.
NOT_HERE = {
    "penstock_gpu_": "there is no NVIDIA driver",
    "penstock_tls_": "there is no TLS",
    "penstock_state_up": "one gateway shares its state with nobody",
    "penstock_rollout_status": "no route has a rollout",
    "penstock_cache_wrong_hits_total": "counted from the first on: no kept answer is wrong",
    "penstock_fair_refused_total": "likewise: no queue is full",
    "penstock_output_unjudged_total": "likewise: no classifier fails",
    "penstock_privacy_refused_total": "likewise: all texts can be read",
}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("watched")) as found:
        yield found


def panels(file: Any) -> list[dict[str, Any]]:
    return [each for each in json.loads(file.read_text())["panels"] if each["type"] != "row"]


def dashboard_queries() -> set[str]:
    texts = {
        target["expr"] for file in FILES for each in panels(file) for target in each["targets"]
    }
    return {each.replace("$__rate_interval", "1m").replace("$model", ".+") for each in texts}


def alert_selectors() -> set[str]:
    """The series that rules are about; whether a threshold is passed is for their own tests."""
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    texts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    found = {each for text in texts for each in re.findall(r"penstock_\w+(?:\{[^}]*\})?", text)}
    return found


def here(query: str) -> bool:
    return not any(name in query for name in NOT_HERE)


def test_the_dashboards_that_are_shipped_are_what_the_code_makes() -> None:
    sys.path.insert(0, str(GRAFANA))
    try:
        texts = runpy.run_path(str(GRAFANA / "dashboards.py"))["texts"]()
    finally:
        sys.path.remove(str(GRAFANA))
    shipped = {file.name: file.read_text() for file in FILES}
    assert shipped == texts, "python deploy/grafana/dashboards.py"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_panels_have_words_and_a_place_of_their_own(file: Any) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(file):
        assert panel["description"].endswith("."), panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    identities = [each["id"] for each in json.loads(file.read_text())["panels"]]
    assert len(set(identities)) == len(identities)


def test_everything_that_dashboards_and_alerts_ask_has_data(mesh: Watched) -> None:
    missing = {each for each in dashboard_queries() | alert_selectors() if here(each)}

    def complete() -> bool:
        mesh.ask()
        missing.difference_update([each for each in missing if mesh.values(each)])
        return not missing

    try:
        mesh.wait(complete, "data")
    except AssertionError:
        listed = "\n".join(sorted(missing))
        pytest.fail(f"nothing is known of\n{listed}")


def test_what_has_no_data_here_is_a_metric_all_the_same() -> None:
    described = (DEPLOY.parent / "docs" / "metrics.md").read_text()
    for name in NOT_HERE:
        assert f"`{name}" in described


def test_what_is_said_not_to_be_here_is_not(mesh: Watched) -> None:
    absent = {each for each in dashboard_queries() | alert_selectors() if not here(each)}
    assert {name for name in NOT_HERE if any(name in each for each in absent)} == NOT_HERE.keys()
    for query in absent:
        assert mesh.values(query) == []
