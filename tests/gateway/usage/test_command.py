"""`penstock usage` against a real store."""

import csv
import json
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.config import load_config
from gateway.store.engine import open_store
from gateway.usage.command import usage
from gateway.usage.value import Usage
from protos.errors import Kind, PenstockError

CONFIG = "apiVersion: penstock/v1\nkind: Penstock\nstateFolder: state\n"
app = typer.Typer()
app.command()(usage)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "penstock.yaml"
    path.write_text(CONFIG)
    store = open_store(load_config(path).store_url.render_as_string(hide_password=False))
    today = time.strftime("%Y-%m-%d", time.gmtime())
    store.usage.write(
        "p/1",
        [
            Usage(today, "acme", "m", 5, 6, 7, 8, 1.5),
            Usage("2025-01-01", "acme", "n", 9, 9, 0, 0, 0.0),
        ],
    )
    store.close()
    return path


def asked(config: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--config", str(config)], env={"COLUMNS": "200"})
    if isinstance(result.exception, PenstockError):
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


def test_it_sums_up_this_month_by_tenant_and_model(config: Path) -> None:
    (row,) = json.loads(asked(config, "--format", "json"))
    assert row == {
        "tenant": "acme",
        "model": "m",
        "requests": 5,
        "rows": 6,
        "prompt_tokens": 7,
        "completion_tokens": 8,
        "device_seconds": 1.5,
    }


def test_programs_may_have_it_as_csv(config: Path) -> None:
    text = asked(config, "--since", "2025-01-01", "--by", "model", "--format", "csv")
    found = list(csv.DictReader(text.splitlines()))
    assert [(row["model"], row["requests"]) for row in found] == [("m", "5"), ("n", "9")]


def test_people_get_a_table(config: Path) -> None:
    text = asked(config, "--since", "2025-01-01", "--until", "2025-02-01", "--by", "day,tenant")
    assert text.splitlines()[0].split()[:3] == ["day", "tenant", "requests"]
    assert text.splitlines()[1].split()[:3] == ["2025-01-01", "acme", "9"]


def test_where_no_gateway_has_been_there_is_nothing_to_read(tmp_path: Path) -> None:
    path = tmp_path / "penstock.yaml"
    path.write_text(CONFIG)
    with pytest.raises(PenstockError) as caught:
        asked(path)
    assert caught.value.kind is Kind.UNAVAILABLE
    assert not (tmp_path / "state").exists()
