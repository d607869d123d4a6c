import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from gateway.routes.decision_log import Seal, own_seal
from gateway.routes.plan import plan
from gateway.store.engine import open_store
from protos.errors import PenstockError
from protos.strict_yaml import ConfigError
from routing.decisions import Decision
from routing.rollout.begin import begin
from tests.routing.backtest.recorded_decisions import by_users, recorded
from tests.routing.rules.written_routes import CANARY, STABLE, STEPS, principal, route, table, text

Run = Callable[..., Result]
BEFORE = table(route(sticky={"key": "jwt.sub"}))
HALF: dict[str, Any] = {
    "sticky": {"key": "jwt.sub"},
    "backends": [{**STABLE, "weight": 50}, {**CANARY, "weight": 50}],
}
app = typer.Typer()
app.command()(plan)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `penstock routes plan` on a folder of such documents."""
    folder = tmp_path / "new"
    folder.mkdir()
    file = tmp_path / "penstock.yaml"
    file.write_text("apiVersion: penstock/v1\nkind: Penstock\nstateFolder: state\n")

    def ran(*arguments: str, **documents: str) -> Result:
        for name, content in documents.items():
            (folder / f"{name}.yaml").write_text(content)
        return CliRunner().invoke(app, [str(folder), *arguments, "--config", str(file)])

    return ran


def write(state: Path, decisions: list[Decision], seal: Seal | None = None) -> None:
    """As a gateway would have, a minute ago."""
    sealed = seal or own_seal(state)
    moved = time.time() - 60.0 - 1000.0
    store = open_store(f"sqlite:///{state}/records.db")
    store.decisions.append(
        [replace(each, user=sealed.seal(each.user), at=each.at + moved) for each in decisions]
    )
    store.close()


def answered(run: Run, **documents: str) -> dict[str, Any]:
    result = run("--json", **documents)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_plan_says_who_moves_and_what_is_loaded(run: Run, state: Path) -> None:
    write(state, by_users(BEFORE, 400, each=(0.0, 20.0)))
    found = answered(run, fraud=text(**HALF))
    (users,) = found["users"]
    assert users["route"] == "fraud"
    assert users["users"]["estimate"] == 400
    assert users["moved"]["estimate"] == pytest.approx(0.45, abs=0.08)
    (canary,) = [each for each in found["load"] if each["arm"] == "canary"]
    assert canary["after"]["requests"]["estimate"] == pytest.approx(20.0, abs=4.0)
    assert canary["before"]["requests"]["estimate"] < 5.0
    assert found["records"] == 800


def test_people_get_tables(run: Run, state: Path) -> None:
    write(state, by_users(BEFORE, 50, each=(0.0, 20.0), tenant="\x1b[31mevil"))
    limits = [{"per": "tenant", "requests": "1/s"}]
    result = run(fraud=text(**HALF, limits=limits))
    assert result.exit_code == 0, result.output
    for piece in ("fraud: ", "of its users get another arm", "Load", "Limits", "1/1s requests"):
        assert piece in result.stdout
    assert "\x1b[31m" not in result.stdout


def test_limits_fire_as_they_would(run: Run, state: Path) -> None:
    busy = by_users(BEFORE, 10, each=[float(n) for n in range(20)])
    quiet = [recorded(BEFORE, principal(tenant="quiet"), at=1000.0 + n) for n in range(20)]
    write(state, sorted(busy + quiet, key=lambda each: each.at))
    limits = [
        {"per": "tenant", "requests": "4/s", "burst": 4},
        {"per": "key", "rows": "1/s", "mode": "observe"},
        {"per": "route", "tokens": "1/m"},
    ]
    by_tenant, by_key = answered(run, fraud=text(**HALF, limits=limits))["limits"]
    assert [each["tenant"] for each in by_tenant["by_tenant"]] == ["acme"]
    # In the first second 4 of 10 pass from a full bucket, in each of the others 4.
    assert by_tenant["refused"]["estimate"] * 19 == pytest.approx(120, abs=1)
    assert (by_tenant["per"], by_tenant["limit"]) == ("tenant", "4/1s requests, 4 at once")
    assert (by_key["mode"], by_key["refused"]["estimate"]) == ("observe", 0.0)


def test_limits_see_the_requests_that_were_not_recorded(run: Run, state: Path) -> None:
    write(state, by_users(BEFORE, 5, each=[float(n) for n in range(11)], weight=4.0))
    limits = [{"per": "tenant", "requests": "10/s", "burst": 10}]
    (found,) = answered(run, fraud=text(**HALF, limits=limits))["limits"]
    assert found["refused"]["estimate"] * 10 == pytest.approx(110, abs=1)


def test_rows_that_never_fit_are_refused(run: Run, state: Path) -> None:
    write(state, by_users(BEFORE, 4, each=(0.0, 10.0), rows=100))
    limits = [{"per": "tenant", "rows": "1k/s", "burst": 50}]
    (found,) = answered(run, fraud=text(**HALF, limits=limits))["limits"]
    assert found["refused"]["estimate"] == pytest.approx(0.8)


def test_a_rollout_that_is_under_way_counts_as_far_as_it_is(run: Run, state: Path) -> None:
    document = {"sticky": {"key": "jwt.sub"}, "rollout": STEPS}
    write(state, by_users(BEFORE, 200, each=(0.0, 10.0)))
    unknown = answered(run, fraud=text(**document))
    assert "canary" not in {each["arm"] for each in unknown["load"] if each["after"]}
    begun = replace(begin(route(**document).route, 1.0), weight=50.0)
    store = open_store(f"sqlite:///{state}/records.db")
    store.rollouts.write(begun, expected_version=None, fence=None, events=[])
    store.close()
    known = answered(run, fraud=text(**document))
    (canary,) = [each for each in known["load"] if each["arm"] == "canary"]
    assert canary["after"]["requests"]["estimate"] == pytest.approx(20.0, abs=5.0)


def test_users_that_another_key_sealed_are_said_to_be_unknown(run: Run, state: Path) -> None:
    own_seal(state)
    write(state, by_users(BEFORE, 20, each=(0.0, 10.0)), Seal(b"another key 16 b"))
    (found,) = answered(run, fraud=text(**HALF))["undetermined"]
    assert found["missing"] == "the key that its user was sealed with"
    assert found["requests"]["estimate"] == pytest.approx(4.0)


def test_without_records_the_status_is_1(run: Run, state: Path) -> None:
    own_seal(state)
    result = run(fraud=text())
    assert result.exit_code == 1
    assert "No decisions were recorded in the last 24h" in result.output


def test_records_from_before_are_not_read(run: Run, state: Path) -> None:
    write(state, by_users(BEFORE, 5))
    assert run("--since", "30s", fraud=text()).exit_code == 1
    assert run("--since", "10m", fraud=text()).exit_code == 0


@pytest.mark.parametrize("since", ["soon", "0s"])
def test_a_period_that_is_none_is_refused(run: Run, since: str) -> None:
    assert run("--since", since, fraud=text()).exit_code == 2


def test_where_no_gateway_ran_there_is_no_key(run: Run) -> None:
    result = run(fraud=text())
    assert isinstance(result.exception, PenstockError)
    assert "has no decisions.key" in str(result.exception)


def test_routes_that_dont_hold_are_refused(run: Run, state: Path) -> None:
    own_seal(state)
    assert isinstance(run(fraud=text(sticky={"key": "nobody"})).exception, ConfigError)


def test_a_store_of_another_version_is_said(run: Run, state: Path) -> None:
    own_seal(state)
    (state / "records.db").write_bytes(b"not a database" * 100)
    result = run(fraud=text())
    assert isinstance(result.exception, PenstockError)
    assert "the record store can't be read" in str(result.exception)
