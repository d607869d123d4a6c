"""Alerts hold, fire when they should and only then, and each has a page that says what to do."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers import program

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
NAMES = (ROOT / "docs" / "metrics.md").read_text()
OF_A_HISTOGRAM = re.compile(r"_(bucket|count|sum)$")
# What Prometheus itself knows of.
FOREIGN = {"up"}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]


def tool(*arguments: str) -> str:
    done = subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, cwd=FOLDER
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_and_the_example_of_a_configuration_are_valid(tmp_path: Path) -> None:
    assert "SUCCESS" in tool("check", "rules", "alerts.yml")
    (tmp_path / "token").write_text("a token")
    for name in ("alerts.yml", "prometheus.yml"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    assert "SUCCESS" in tool("check", "config", str(tmp_path / "prometheus.yml"))


def test_each_alert_fires_when_it_should_and_no_other_with_it() -> None:
    assert "SUCCESS" in tool("test", "rules", "alerts_test.yml")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each["alert"])
def test_an_alert_has_a_case_a_severity_and_a_page(alert: dict[str, Any]) -> None:
    name = alert["alert"]
    assert f'alertname="{name}"' in (FOLDER / "alerts_test.yml").read_text()
    assert alert["labels"]["severity"] in ("page", "ticket", "info")
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
    (page,) = re.findall(rf"^## {name}$(.*?)(?=^## |\Z)", RUNBOOKS, re.MULTILINE | re.DOTALL)
    for part in ("**Means**", "**Whose fault", "**Do**"):
        assert part in page or "what to do**: as [above]" in page


def test_pages_are_of_alerts_that_there_are() -> None:
    assert set(re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE)) == {a["alert"] for a in ALERTS}


@pytest.mark.parametrize("text", ["rules", "runbooks"])
def test_metrics_that_are_asked_for_are_listed(text: str) -> None:
    where = RUNBOOKS if text == "runbooks" else "\n".join(rule["expr"] for rule in rules())
    for name in set(re.findall(r"\bpenstock_[a-z0-9_]+", where)) - FOREIGN:
        assert f"`{OF_A_HISTOGRAM.sub('', name)}" in NAMES, name


@pytest.mark.parametrize("file", ["prometheus", "compose/prometheus"])
def test_a_lost_gateway_is_looked_for_by_the_job_that_examples_give_it(file: str) -> None:
    given = yaml.safe_load((ROOT / "deploy" / file / "prometheus.yml").read_text())
    jobs = {each["job_name"] for each in given["scrape_configs"]}
    (rule,) = (each for each in ALERTS if each["alert"] == "PenstockGatewayDown")
    assert set(re.findall(r'job="(\w+)"', rule["expr"])) <= jobs
