"""The command line: tokens that verify, files that are checked, ports that are free."""

import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.config import load_config
from policies.authenticate import Authenticator
from tests.command_line import penstock

CONFIG = """
apiVersion: penstock/v1
kind: Penstock
stateFolder: state
issuers:
  - {name: dev, issuer: dev, algorithm: HS256, secretFile: state/secret, development: true}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "penstock.yaml"
    path.write_text(CONFIG)
    return path


def test_a_token_verifies(file: Path):
    scopes = ("--scope", "infer:digits", "--scope", "infer:fraud*", "--admin")
    done = penstock("token", "--tenant", "bank", *scopes, "--config", str(file))
    assert done.returncode == 0, done.stderr
    authenticate = Authenticator(load_config(file).issuers, time.time)
    principal = authenticate(f"Bearer {done.stdout.strip()}")
    assert (principal.tenant, principal.issuer) == ("bank", "dev")
    assert principal.scopes == {"infer:digits", "infer:fraud*", "admin"}


def test_a_token_may_use_all_models_unless_scopes_are_named(file: Path):
    done = penstock("token", "--config", str(file))
    principal = Authenticator(load_config(file).issuers, time.time)(f"Bearer {done.stdout.strip()}")
    assert principal.scopes == {"infer:*"}


def test_the_secret_is_for_its_owner_only(file: Path):
    penstock("token", "--config", str(file))
    mode = (file.parent / "state" / "secret").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--scope", "everything"), 'scope: "everything" is none of'),
        (("--lifetime", "25h"), "lifetime: must be above 0 and at most 86400 seconds"),
        (("--lifetime", "3600"), "a duration is written as a number with its unit"),
    ],
)
def test_a_token_that_would_be_refused_is_not_made(file: Path, arguments, sentence: str):
    done = penstock("token", *arguments, "--config", str(file))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not done.stdout


def test_without_a_development_issuer_nobody_signs(file: Path):
    file.write_text("apiVersion: penstock/v1\nkind: Penstock\n")
    done = penstock("token", "--config", str(file))
    assert done.returncode == 2
    assert "issuers: none has `development: true`" in done.stderr


def test_a_good_file_is_fine(file: Path):
    done = penstock("config", "check", "--config", str(file))
    *notes, last = done.stdout.splitlines()
    assert (done.returncode, last) == (0, f"{file} is fine")
    assert all(note.startswith("note: issuers[0].secretFile: ") for note in notes)


def test_a_bad_file_is_refused_with_its_line(file: Path):
    file.write_text(CONFIG + "workres: 2\n")
    command = ("config", "check", "--config", str(file))
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *command], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"penstock: {file}:7: ")
    assert "workers" in done.stderr
    here = penstock(*command)
    assert (here.returncode, here.stdout, here.stderr) == (2, done.stdout, done.stderr)


def test_the_schema_is_json():
    schema = json.loads(penstock("config", "schema").stdout)
    assert schema["properties"]["portOffset"]["minimum"] == 0


def test_up_refuses_a_taken_port_and_starts_nothing(file: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(CONFIG + f"listeners: {{http: {{address: '127.0.0.1:{port}'}}}}\n")
        done = penstock("up", "--config", str(file))
    assert done.returncode == 2
    assert f"port {port} (http) is taken by process {os.getpid()}" in done.stderr
    assert not (file.parent / "state").exists()


def test_an_offset_beyond_the_last_port_is_refused(file: Path):
    done = penstock("up", "--config", str(file), "--port-offset", "60000")
    assert done.returncode == 2
    assert "--port-offset 60000: moves a port beyond the last, 65535" in done.stderr


@pytest.mark.parametrize("command", [("models", "list"), ("endpoints", "--json")])
def test_a_gateway_that_does_not_answer_is_a_sentence(file: Path, command: tuple[str, ...]):
    nobody = "{http: {address: '127.0.0.1:1'}, admin: {address: '127.0.0.1:2'}}"
    file.write_text(CONFIG + f"listeners: {nobody}\n")
    done = penstock(*command, "--config", str(file))
    assert done.returncode == 2
    assert "the gateway doesn't answer at http://127.0.0.1:" in done.stderr
