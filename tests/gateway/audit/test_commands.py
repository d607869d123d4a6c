"""`penstock audit` on a log in a folder."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.audit.commands import app
from protos.errors import PenstockError
from tests.gateway.audit.written_log import Wall, chain, files

KEY = "sixteen bytes or more"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "audit.key").write_text(KEY)
    file = tmp_path / "penstock.yaml"
    file.write_text("apiVersion: penstock/v1\nkind: Penstock\naudit: {keyFile: audit.key}\n")
    written = chain(tmp_path / ".penstock" / "audit", Wall())
    for at, tenant in enumerate(("acme", "zeta\x1b[31m", "acme")):
        facts = {"what": "request", "tenant": tenant, "decision": "allowed", "found": {"EMAIL": 1}}
        written.append([{"at": 1_800_000_000.25 + at, **facts}])
    written.close()
    for path in files(log(file)):
        os.utime(path, (1_900_000_000, 1_900_000_000))  # as its clock is ahead
    return file


def audit(config: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(app, [*arguments, "--config", str(config)])
    if isinstance(result.exception, PenstockError):
        raise result.exception
    return result


def log(config: Path) -> Path:
    return config.parent / ".penstock" / "audit"


def test_a_log_that_holds_is_said_to(config: Path):
    result = audit(config, "verify")
    assert result.exit_code == 0
    *chains, last = result.stdout.splitlines()
    assert len(chains) == 1
    assert "records, closed; record" in chains[0]
    assert last == f"{log(config)}: 1 chains, 0 faults"


def test_one_that_does_not_ends_with_status_1_and_the_place(config: Path):
    path = files(log(config))[0]
    path.write_bytes(path.read_bytes().replace(b'"acme"', b'"acne"', 1))
    result = audit(config, "verify")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{path.name}:2: record 1 is not what was written\n")
    told = json.loads(audit(config, "verify", "--format", "json").stdout)
    assert (told["sound"], told["findings"][0]["line"]) == (False, 2)


def test_a_head_from_elsewhere_is_held_against_the_log(config: Path):
    told = json.loads(audit(config, "verify", "--format", "json").stdout)["chains"][0]
    head = f"{told['name']}:{told['next'] - 1}:{told['digest']}"
    assert audit(config, "verify", "--head", head).exit_code == 0
    beyond = f"{told['name']}:{told['next']}:{told['digest']}"
    assert audit(config, "verify", "--head", beyond).exit_code == 1
    with pytest.raises(PenstockError, match="--head: "):
        audit(config, "verify", "--head", "nonsense")


def test_no_log_is_no_proof(config: Path):
    for path in files(log(config)):
        path.unlink()
    assert audit(config, "verify").exit_code == 1
    log(config).rmdir()
    with pytest.raises(PenstockError, match="No such file"):
        audit(config, "verify")


def test_records_are_shown_on_one_line_each_and_say_nothing_to_a_terminal(config: Path):
    lines = audit(config, "show", "--what", "request").stdout.splitlines()
    assert lines[0] == (
        '2027-01-15T08:00:00.250Z request tenant=acme decision=allowed found={"EMAIL": 1}'
    )
    assert "\x1b" not in lines[1]
    assert len(lines) == 3


def test_records_are_asked_for_by_tenant_decision_and_time(config: Path):
    def count(*options: str) -> int:
        shown = audit(config, "show", "--what", "request", "--format", "json", *options)
        return len([json.loads(line) for line in shown.stdout.splitlines()])

    assert count("--tenant", "acme") == 2
    assert count("--decision", "refused") == 0
    assert count("--since", "2027-01-15T08:00:01Z") == 2
    assert count("--until", "2027-01-15T08:00:01Z") == 1
    with pytest.raises(PenstockError, match="did you mean"):
        count("--decision", "refusd")
    with pytest.raises(PenstockError, match="--since: "):
        count("--since", "yesterday")


def test_the_newest_records_come_last(config: Path):
    result = audit(config, "tail", "-n", "2", "--format", "json", "--what", "request")
    tenants = [json.loads(line)["tenant"] for line in result.stdout.splitlines()]
    assert tenants == ["zeta\x1b[31m", "acme"]


def test_a_log_elsewhere_is_read_by_folder_and_key(config: Path, tmp_path: Path):
    elsewhere = ("--folder", str(log(config)), "--key-file", str(config.parent / "audit.key"))
    assert audit(tmp_path / "absent.yaml", "verify", *elsewhere).exit_code == 0
    assert audit(tmp_path / "absent.yaml", "show", "--folder", str(log(config))).stdout
