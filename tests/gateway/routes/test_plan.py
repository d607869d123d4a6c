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

from gateway.routes.decision_log import Seal, gateways_key
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
def in_force(tmp_path: Path) -> Path:
    """The document in force."""
    file = tmp_path / "now" / "fraud.yaml"
    file.parent.mkdir()
    file.write_text(text(sticky={"key": "jwt.sub"}))
    return file


@pytest.fixture
def run(tmp_path: Path, in_force: Path) -> Run:
    """Runs `penstock routes plan` on a folder of such documents."""
    folder = tmp_path / "new"
    folder.mkdir()
    file = tmp_path / "penstock.yaml"
    file.write_text("apiVersion: penstock/v1\nkind: Penstock\nstateFolder: state\nroutes: now\n")

    def ran(*arguments: str, **documents: str) -> Result:
        for name, content in documents.items():
            (folder / f"{name}.yaml").write_text(content)
        return CliRunner().invoke(app, [str(folder), *arguments, "--config", str(file)])

    return ran


def write(state: Path, decisions: list[Decision], seal: Seal | None = None) -> None:
    """As a gateway would have, a minute ago."""
    sealed = seal or Seal(gateways_key(state))
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
    assert (found["elsewhere"], found["complete"]) == (0, True)


def test_the_routes_in_force_change_nothing(run: Run, state: Path, in_force: Path) -> None:
    earlier = table(route(**HALF, limits=[{"per": "tenant", "requests": "1/s"}]))
    retired = table(route("retired", match=[{"model": "gone"}]))
    users = by_users(earlier, 300, each=(0.0, 20.0), weight=2.0)
    write(state, users + by_users(retired, 20, each=(21.0,), model="gone"))
    found = answered(run, fraud=in_force.read_text())
    assert found["revision"] == found["in_force"]
    assert found["elsewhere"] == found["records"] == 620
    assert all(each["before"] == each["after"] for each in found["load"])
    for route_ in found["users"]:
        assert all(each["from"] == each["to"] for each in route_["matrix"])
    (fraud,) = [each for each in found["users"] if each["route"] == "fraud"]
    assert fraud["moved"]["estimate"] == 0.0
    assert found["rematched"] == found["refused"] == found["limits"] == []
    said = run(fraud=in_force.read_text()).stdout
    assert ", which are in force" in said
    assert "620 of them were made under other routes; all are replayed through both" in said
    assert "fraud: none of its 600 users gets another arm\n" in said


def test_a_raised_weight_only_moves_users_to_its_arm(run: Run, state: Path, in_force: Path) -> None:
    torch = {"name": "torch", "model": "digits", "version": "1"}
    onnx = {"name": "onnx", "model": "digits", "version": "2"}

    def split(first: int, second: int) -> dict[str, Any]:
        backends = [{**torch, "weight": first}, {**onnx, "weight": second}]
        return {"sticky": {"key": "jwt.sub", "salt": "demo"}, "backends": backends}

    in_force.write_text(text(**split(80, 20)))
    write(state, by_users(table(route(**split(10, 90))), 400))
    (moves,) = answered(run, fraud=text(**split(50, 50)))["users"]
    pairs = {(each["from"], each["to"]): each["users"]["estimate"] for each in moves["matrix"]}
    assert set(pairs) == {("torch", "torch"), ("torch", "onnx"), ("onnx", "onnx")}
    assert moves["moved"]["estimate"] == pytest.approx(0.3, abs=0.07)


def test_the_documentation_has_every_field(run: Run, state: Path) -> None:
    write(state, by_users(BEFORE, 5, each=(0.0, 20.0)))
    found = answered(run, fraud=text(**HALF, limits=[{"per": "tenant", "requests": "1/s"}]))
    documented = (Path(__file__).parents[3] / "docs" / "backtest.md").read_text()
    lists = {name: value[0] for name, value in found.items() if value and isinstance(value, list)}
    assert set(lists) == {"users", "load", "limits"}
    written = {*found, *(key for each in lists.values() for key in each)}
    for side in (lists["load"]["after"], lists["limits"]["after"]):
        written |= set(side)
    assert [key for key in sorted(written) if f"`{key}" not in documented] == []


def test_people_get_tables(run: Run, state: Path) -> None:
    write(state, by_users(BEFORE, 50, each=(0.0, 20.0), tenant="\x1b[31mevil"))
    limits = [{"per": "tenant", "requests": "1/s"}]
    result = run(fraud=text(**HALF, limits=limits))
    assert result.exit_code == 0, result.output
    for piece in ("fraud: ", "of its 50 users get another arm", "Load", "Limits", "1/1s requests"):
        assert piece in result.stdout
    assert "all requests were recorded: the figures are counts" in result.stdout
    assert "–4" not in result.stdout  # no interval
    assert "\x1b[31m" not in result.stdout


def test_people_get_intervals_only_of_what_was_sampled(run: Run, state: Path) -> None:
    write(state, by_users(BEFORE, 1, weight=8.0) + by_users(BEFORE, 1, each=(50_000.0,)))
    said = run("--since", "2d", fraud=text(**HALF)).stdout
    assert "from a sample: (low–high) is a 95 % interval" in said
    assert "less than 0.001" in said
    assert "-0" not in said
    assert "±" not in said


def test_sentences_are_not_broken_where_the_output_is_narrow(run: Run, state: Path) -> None:
    missing = table(route(match=[{"model": "none"}]))
    unknown = by_users(missing, 30, each=(0.0, 10.0), model="guess", code=404)
    new = [{**STABLE, "version": "9"}]
    write(state, unknown + by_users(BEFORE, 30, each=(10.0, 20.0)))
    said = run(fraud=text(backends=new)).stdout
    assert "\n* not measured on this model version, but on those that served" not in said
    assert "  * not measured on this model version, but on those that served these requests" in said
    wanted = "requests a second ask for models or versions that there aren't: refused as before"
    assert f"3 {wanted}, and no load" in said
    assert "guess" not in said


def test_a_route_without_sticky_moves_nobody(run: Run, state: Path, in_force: Path) -> None:
    in_force.write_text(text())
    write(state, by_users(BEFORE, 30))
    said = run(fraud=text()).stdout
    assert "fraud: every request draws its arm anew, so nobody has one to be moved from" in said


def test_without_a_folder_of_routes_none_are_in_force(
    run: Run, state: Path, tmp_path: Path
) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(file.read_text().replace("routes: now\n", ""))
    write(state, by_users(table(), 10, each=(0.0, 10.0)))
    found = answered(run, fraud=text(**HALF))
    assert [(each["from"], each["to"]) for each in found["rematched"]] == [("(no route)", "fraud")]
    assert found["elsewhere"] == 0


def test_routes_in_force_that_dont_hold_are_said(run: Run, state: Path, in_force: Path) -> None:
    gateways_key(state)
    in_force.write_text("nothing")
    result = run(fraud=text())
    assert isinstance(result.exception, ConfigError)
    assert str(in_force) in str(result.exception)


def test_limits_fire_as_they_would(run: Run, state: Path) -> None:
    busy = by_users(BEFORE, 10, each=[float(n) for n in range(20)])
    quiet = [recorded(BEFORE, principal(tenant="quiet"), at=1000.0 + n) for n in range(20)]
    write(state, sorted(busy + quiet, key=lambda each: each.at))
    limits = [
        {"per": "tenant", "requests": "4/s", "burst": 4},
        {"per": "key", "rows": "1/s", "mode": "observe"},
        {"per": "route", "tokens": "1/m"},
    ]
    by_key, by_tokens, by_tenant = answered(run, fraud=text(**HALF, limits=limits))["limits"]
    assert [each["tenant"] for each in by_tenant["after"]["by_tenant"]] == ["acme"]
    # In the first second 4 of 10 pass from a full bucket, in each of the others 4.
    assert by_tenant["after"]["refused"]["estimate"] * 19 == pytest.approx(120, abs=1)
    assert (by_tenant["per"], by_tenant["limit"]) == ("tenant", "4/1s requests, 4 at once")
    assert (by_key["mode"], by_key["after"]["refused"]["estimate"]) == ("observe", 0.0)
    assert by_tenant["before"] is by_key["before"] is None
    assert (by_tokens["limit"], by_tokens["after"]["by_tenant"]) == ("1/60s tokens, 1 at once", [])
    assert by_tokens["after"]["undetermined"]["estimate"] * 19 == pytest.approx(220, abs=1)


def test_limits_in_force_are_compared_with_the_new_ones(
    run: Run, state: Path, in_force: Path
) -> None:
    kept, old = {"per": "route", "requests": "3/s"}, {"per": "tenant", "requests": "1/s"}
    in_force.write_text(text(**HALF, limits=[old, kept, {**kept}]))
    write(state, by_users(BEFORE, 10, each=[float(n) for n in range(20)]))
    first, second, gone = answered(run, fraud=text(**HALF, limits=[kept, {**kept}]))["limits"]
    for each in (first, second):
        assert each["before"]["refused"]["estimate"] == 0.0  # as the tenant's lets less through
        assert each["after"]["refused"]["estimate"] * 19 == pytest.approx(140, abs=1)
    assert (gone["limit"], gone["after"]) == ("1/1s requests, 1 at once", None)
    assert gone["before"]["refused"]["estimate"] * 19 == pytest.approx(180, abs=1)


def test_limits_of_keys_that_are_not_recorded_are_said_to_be_unknown(
    run: Run, state: Path, in_force: Path
) -> None:
    sticky = {"sticky": {"key": "tenant"}}
    in_force.write_text(text(**sticky))
    write(state, by_users(table(route(**sticky)), 10, each=[float(n) for n in range(11)]))
    new = text(**sticky, limits=[{"per": "key", "requests": "2/s"}])
    (found,) = answered(run, fraud=new)["limits"]
    assert found["after"]["refused"]["estimate"] == 0.0
    assert found["after"]["undetermined"]["estimate"] == pytest.approx(11.0)
    said = run(fraud=new).stdout
    assert "not known *" in said
    assert "  * requests of which too little is recorded are not counted\n" in said


def test_limits_see_the_requests_that_were_not_recorded(run: Run, state: Path) -> None:
    write(state, by_users(BEFORE, 5, each=[float(n) for n in range(11)], weight=4.0))
    limits = [{"per": "tenant", "requests": "10/s", "burst": 10}]
    (found,) = answered(run, fraud=text(**HALF, limits=limits))["limits"]
    assert found["after"]["refused"]["estimate"] * 10 == pytest.approx(110, abs=1)


def test_rows_that_never_fit_are_refused(run: Run, state: Path) -> None:
    write(state, by_users(BEFORE, 4, each=(0.0, 10.0), rows=100))
    limits = [{"per": "tenant", "rows": "1k/s", "burst": 50}]
    (found,) = answered(run, fraud=text(**HALF, limits=limits))["limits"]
    assert found["after"]["refused"]["estimate"] == pytest.approx(0.8)


def test_a_rollout_that_is_under_way_counts_as_far_as_it_is(
    run: Run, state: Path, in_force: Path
) -> None:
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
    in_force.write_text(text(**document))
    same = answered(run, fraud=text(**document))
    (canary,) = [each for each in same["load"] if each["arm"] == "canary"]
    assert canary["before"] == canary["after"] == known_load(known, "canary")


def known_load(answer: dict[str, Any], arm: str) -> Any:
    (load,) = [each for each in answer["load"] if each["arm"] == arm]
    return load["after"]


def test_users_that_another_key_sealed_are_said_to_be_unknown(run: Run, state: Path) -> None:
    gateways_key(state)
    write(state, by_users(BEFORE, 20, each=(0.0, 10.0)), Seal(b"another key 16 b"))
    (found,) = answered(run, fraud=text(**HALF))["undetermined"]
    assert found["missing"] == "the key that its user was sealed with"
    assert found["requests"]["estimate"] == pytest.approx(4.0)


def test_without_records_the_status_is_1(run: Run, state: Path) -> None:
    write(state, [])
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
    gateways_key(state)
    assert isinstance(run(fraud=text(sticky={"key": "nobody"})).exception, ConfigError)


def test_a_store_that_no_gateway_made_is_said_and_not_made(run: Run, state: Path) -> None:
    gateways_key(state)
    result = run(fraud=text())
    assert isinstance(result.exception, PenstockError)
    assert "records.db isn't there" in str(result.exception)
    assert not (state / "records.db").exists()


def test_a_store_of_another_version_is_said(run: Run, state: Path) -> None:
    gateways_key(state)
    (state / "records.db").write_bytes(b"not a database" * 100)
    result = run(fraud=text())
    assert isinstance(result.exception, PenstockError)
    assert "records.db can't be read: file is not a database" in str(result.exception)
