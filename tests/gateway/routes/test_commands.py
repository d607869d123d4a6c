import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from gateway.routes.commands import app
from gateway.routes.documents import check_texts
from gateway.routes.kinds import schemas
from protos.errors import PenstockError
from protos.strict_yaml import ConfigError
from tests.routing.rules.written_routes import CANARY, STABLE, STEPS, privacy, text

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `penstock routes …` beside a penstock.yaml whose folder of routes is `routes`."""
    folder = tmp_path / "routes"
    folder.mkdir()
    file = tmp_path / "penstock.yaml"
    file.write_text("apiVersion: penstock/v1\nkind: Penstock\nroutes: routes\n")

    def ran(*arguments: str, config: Path = file, **documents: str) -> Result:
        for name, content in documents.items():
            (folder / f"{name}.yaml").write_text(content)
        return CliRunner().invoke(app, [*arguments, "--config", str(config)])

    return ran


def explained(run: Run, tmp_path: Path, *arguments: str, **documents: str) -> dict[str, Any]:
    folder = str(tmp_path / "routes")
    result = run("explain", "--routes", folder, "--json", *arguments, **documents)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_check_takes_the_configured_folder_and_says_what_it_found(run: Run) -> None:
    result = run("check", fraud=text(cache={"ttl": "5m", "scope": "route"}))

    assert result.exit_code == 0
    note, summary = result.output.splitlines()
    assert note.startswith("note: ")
    assert "fraud.yaml:17: cache: " in note
    assert "routes: 1 route, revision " in summary


def test_check_knows_the_policies_that_lie_beside_routes(run: Run) -> None:
    result = run("check", fraud=text(privacy={"policy": "bank"}), bank=privacy("bank"))
    wrong = run("check", fraud=text(privacy={"policy": "bank"}), bank=privacy("bank", mode="off"))

    assert result.exit_code == 0
    assert "routes: 1 route, 1 policy, revision " in result.output
    assert wrong.exit_code == 1
    assert "bank.yaml:6: spec.mode: " in wrong.output


def test_check_of_policies_alone_says_whether_they_are_good(run: Run) -> None:
    good = run("check", bank=privacy("bank"))
    wrong = run("check", bank=privacy("bank", mode="off"))

    assert good.exit_code == 0
    assert "note: " in good.output
    assert "holds no routes" in good.output
    assert "routes: 0 routes, 1 policy, revision " in good.output
    assert wrong.exit_code == 1
    assert "bank.yaml:6: spec.mode: " in wrong.output


def test_check_of_a_folder_with_nothing_is_a_problem(run: Run) -> None:
    result = run("check")

    assert result.exit_code == 1
    assert "holds no routes" in result.output


def test_check_ends_with_status_1_and_every_problem(run: Run) -> None:
    result = run("check", a=text("a").replace("weight: 5", "wieght: 5"), b="[")

    assert result.exit_code == 1
    first, second = result.output.splitlines()
    assert 'a.yaml:16: spec.backends[1].wieght: unknown key; did you mean "weight"?' in first
    assert "b.yaml:1: not valid YAML" in second


def test_check_writes_json_for_programs(run: Run) -> None:
    fine = json.loads(run("check", "--json", fraud=text()).output)
    wrong = run("check", "--json", fraud="[")

    assert (fine["routes"], fine["problems"], fine["notes"]) == (1, [], [])
    assert len(fine["revision"]) == 16
    assert wrong.exit_code == 1
    assert len(json.loads(wrong.output)["problems"]) == 1


def test_check_takes_a_folder_without_any_configuration(run: Run, tmp_path: Path) -> None:
    result = run("check", str(tmp_path / "routes"), config=tmp_path / "none.yaml", fraud=text())

    assert result.exit_code == 0


def test_check_without_any_folder_says_so(run: Run, tmp_path: Path) -> None:
    bare = tmp_path / "bare.yaml"
    bare.write_text("apiVersion: penstock/v1\nkind: Penstock\n")

    with pytest.raises(PenstockError, match="names no folder"):
        raise run("check", config=bare).exception or AssertionError("it passed")


def test_explain_reads_headers_claims_subject_and_version(run: Run, tmp_path: Path) -> None:
    match = [{"model": "fraud", "headers": {"x-a": "1, 2"}, "claims": {"role": "x", "n": "7"}}]
    document = text(match=match, sticky={"key": "jwt.sub"})
    asked = ["--model", "fraud", "--tenant", "acme", "--subject", "me"]
    asked += ["--header", "X-A: 1", "--header", "x-a:2", "--claim", 'role=["y","x"]']

    told = explained(run, tmp_path, *asked, "--claim", "n=7", fraud=document)
    pinned = explained(run, tmp_path, *asked, "--claim", "n=7", "--version", "4")
    other = explained(run, tmp_path, *asked, "--claim", "n=8")

    assert (told["route"], told["chosen_by"]) == ("fraud", "sticky")
    assert (pinned["arm"], pinned["chosen_by"]) == ("canary", "pin")
    assert other["route"] is None


@pytest.mark.parametrize(
    "wrong", [("--header", "x"), ("--claim", "x"), ("--claim", "x=[1"), ("--header", ": 1")]
)
def test_explain_refuses_what_it_cannot_read(run: Run, tmp_path: Path, wrong: tuple[str]) -> None:
    folder = str(tmp_path / "routes")

    result = run("explain", "--routes", folder, "--model", "m", *wrong)

    assert isinstance(result.exception, PenstockError)
    assert wrong[0] in result.exception.message


def test_explain_prints_why_for_people(run: Run, tmp_path: Path) -> None:
    documents = {
        "fraud": text(sticky={"key": "jwt.sub"}, timeouts={"total": "2s"}, rollout=STEPS),
        "bank": text("bank", match=[{"model": "fraud", "tenants": ["bank"]}]),
        "other": text("other", match=[{"model": "other"}]),
    }
    arguments = ("--model", "fraud", "--tenant", "acme", "--subject", "me")

    folder = str(tmp_path / "routes")
    printed = run("explain", "--routes", folder, *arguments, **documents).output

    assert "route fraud" in printed
    assert "arm stable: the only arm that gets requests" in printed
    assert "the tenant is not" in " ".join(printed.split())
    assert "1 rule of other models" in printed
    assert "total 2s" in printed
    assert "No gateway was asked" in printed


@pytest.mark.parametrize(
    "arguments",
    [("--version", "4"), ("--version", "9"), ("--subject", "me"), ("--tenant", "bank")],
)
def test_every_outcome_can_be_printed(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    mirror = [{"backend": "next", "model": "fraud", "percent": 1}]
    document = text(mirror=mirror, limits=[{"per": "route", "rows": "5/1s"}])

    folder = str(tmp_path / "routes")
    result = run("explain", "--routes", folder, "--model", "fraud", *arguments, fraud=document)

    assert result.exit_code == 0, result.output
    assert "fraud" in result.output


FULL = text(
    match=[{"model": "fra*", "tenants": ["a", "b*"], "headers": {"x": "1"}, "claims": {"y": "*"}}],
    backends=[STABLE, {**CANARY, "fallback": "stable"}],
    sticky={"key": "cookie.uid", "salt": "s"},
    mirror=[{"backend": "m", "model": "n", "percent": 2.5, "compare": {"maxEdit": "1%"}}],
    rollout={
        "steps": [
            {"mirror": {"percent": 20, "until": {"samples": 2000, "for": "1h"}}},
            {"setWeight": 5},
            {"analysis": {"for": "15m"}},
            {"pause": {}},
        ],
        "analysis": {
            "baseline": "stable",
            "metrics": [
                {"name": "error_rate", "maxDelta": "0.5pp"},
                {"name": "latency_p99", "maxRatio": 1.2},
                {"name": "disagreement", "maxAboveNoise": "1pp"},
            ],
            "onFail": "hold",
        },
    },
    privacy={"policy": "bank", "mode": "observe"},
    cache={"ttl": "5m", "scope": "tenant", "sampled": True, "verify": "1%"},
    limits=[{"per": "tenant", "requests": "100/s", "burst": 200}],
    timeouts={"total": "2s", "firstToken": "500ms", "idle": "5s"},
    retries={"max": 1, "budget": "10%", "hedgeAfter": "p95"},
    circuit={"maxInFlight": 10},
    priority={"default": 3, "highest": 2},
    pins="any",
    showArm="admins",
)
WRONG = [
    text(pins="some"),
    text(spec=1),
    text(match=[]),
    text(match=[{"model": "a*b*"}]),
    text(match=[{}]),
    text(backends=[{"name": "Big", "model": "m"}]),
    text(backends=[{**STABLE, "weight": -1}]),
    text(backends=[{**STABLE, "version": 3}]),
    text(sticky={"key": "sub"}),
    text(timeouts={"total": 5}),
    text(retries={"max": 3}),
    text(retries={"budget": "10"}),
    text(cache={"ttl": "5m", "mode": "try"}),
    text(rollout={**STEPS, "steps": [{"setWeight": 5, "pause": {}}]}),
    text(rollout={**STEPS, "steps": [{}]}),
    text(limits=[{"per": "tenant", "requests": "fast"}]),
    "kind: Route",
]


@pytest.mark.parametrize("document", [text(), FULL], ids=["small", "full"])
def test_the_schema_takes_what_the_loader_takes(document: str) -> None:
    Draft202012Validator.check_schema(schemas()["Route"])
    check_texts([("a.yaml", document), ("bank.yaml", privacy("bank"))])

    assert (
        list(Draft202012Validator(schemas()["Route"]).iter_errors(yaml.safe_load(document))) == []
    )


@pytest.mark.parametrize("document", WRONG, ids=range(len(WRONG)))
def test_the_schema_refuses_what_the_loader_refuses(document: str) -> None:
    with pytest.raises(ConfigError):
        check_texts([("a.yaml", document), ("bank.yaml", privacy("bank"))])

    assert not Draft202012Validator(schemas()["Route"]).is_valid(yaml.safe_load(document))


def test_the_schema_is_printed_for_editors() -> None:
    for kind in ("Route", "Privacy"):
        result = CliRunner().invoke(app, ["schema", "--kind", kind])

        assert json.loads(result.output) == schemas()[kind]
