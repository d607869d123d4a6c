"""Commands and Python on the pages are run as they stand there, against a mesh of this machine.

What is not run says why in a comment before it, and is counted below.
"""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from chaos.mesh import Mesh
from tests.docs.commands import commands, looked_at
from tests.docs.pages import WRITTEN, Block, blocks
from tests.docs.site import site

SHELL = [each for file in WRITTEN for each in blocks(file) if commands(each)]
HERE = [each for each in SHELL if not each.mark]
PYTHON = [each for file in WRITTEN for each in blocks(file) if each.language == "python"]
# Those that ask a gateway; others are parts of programs.
CLIENTS = [each for each in PYTHON if "127.0.0.1" in each.text]

# Why commands aren't run, and how many blocks of them there are.
ELSEWHERE = {
    "docker": 3,
    "cluster": 6,
    "runs until it is stopped": 1,
    "takes minutes": 2,
    "takes twenty minutes": 1,
    "takes an hour": 2,
    "needs the extra fuzz": 1,
}

# What stands on a page for the reader's own.
FORMS = (
    ("keys list [--tenant T] [--all] [--json]", "keys list --tenant acme --all --json"),
    ("keys revoke ID", "keys revoke $KEY"),
    ("revoke-token ISSUER JTI", "revoke-token tests 7f2c"),
    ("rollout status [ROUTE] [--json]", "rollout status fraud --json"),
    ("rollout pause ROUTE", "rollout pause fraud"),
    ("rollout resume ROUTE", "rollout resume fraud"),
    ("rollout abort ROUTE", "rollout abort copilot"),
    ("/endpoints/NAME/", "/endpoints/linear/"),
    ("shadow report --route fraud", "shadow report --route ranking"),
    ("audit tail -f", "audit tail"),  # which would wait for more
)
# What the pages say that such commands show.
SHOWN = (
    ("routes explain --model pricing", "jwt.sub"),
    ("rollout status fraud", "mirror"),
    ("shadow report --route ranking", "candidate"),
    ("routes explain --model search", "search-next"),
    ("routes explain --model helpdesk", "small"),
    ("routes explain --model vision", "vision-nightly"),
    ("routes explain --model churn --version 2", "next"),
    ("usage --since 30d --by tenant,model", "digits"),
    ('"model":"tutor"', "ratelimit: "),
    ('"model":"minilm"', "x-cache: "),
    ("penstock redact", "[EMAIL"),
    ("project bluebird", "[project]"),
)
PROLOGUE = """
set -e -o pipefail
curl() { command curl --silent --show-error --fail-with-body "$@"; }
"""
# Which end well when there are records of what was asked.
RECORDED = (
    "penstock shadow report --route digits",
    "penstock shadow report --route ranking",
    "penstock routes plan new-routes/",
)
PIXELS = {"name": "pixels", "shape": [1, 8, 8], "datatype": "FP32", "data": [0.0] * 64}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with site(tmp_path_factory.mktemp("docs")) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def environment(mesh: Mesh) -> dict[str, str]:
    """A shell's, after some requests whose records reports and plans read."""
    with mesh.client("infer:*") as client:
        for model in ["digits", "ranking"] * 20:
            asked = client.post(f"/v2/models/{model}/infer", json={"inputs": [PIXELS]})
            asked.raise_for_status()
    path = os.pathsep.join([str(mesh.folder / ".venv" / "bin"), os.environ["PATH"]])
    given = {**os.environ, "PATH": path}
    made = run("penstock keys create --tenant acme --name x --scope 'infer:*'", mesh, given)
    key = re.search(r"pk_(\w{16})", made)
    assert key is not None
    for command in RECORDED:
        mesh.wait(partial(succeeds, command, mesh, given), f"records for {command}")
    return {**given, "KEY": key[1]}


def succeeds(command: str, mesh: Mesh, environment: dict[str, str]) -> bool:
    return "done" in run(f"if {command} > /dev/null 2>&1; then echo done; fi", mesh, environment)


def run(script: str, mesh: Mesh, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", PROLOGUE + script],
        cwd=mesh.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def here(text: str, mesh: Mesh) -> str:
    """The text with this mesh's ports and values."""
    for face, port in (("http", 8000), ("grpc", 8001), ("admin", 8002)):
        text = text.replace(f"127.0.0.1:{port}", mesh.address(face))
    for form, value in FORMS:
        text = text.replace(form, value)
    return text


@pytest.mark.parametrize("block", CLIENTS, ids=str)
def test_python_asks_the_gateway(
    block: Block, mesh: Mesh, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(mesh.folder)
    exec(compile(here(block.text, mesh), str(block), "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("block", [each for each in PYTHON if each not in CLIENTS], ids=str)
def test_parts_of_programs_compile(block: Block) -> None:
    compile(block.text, str(block), "exec")


def test_the_policy_of_the_page_answers_for_its_route(mesh: Mesh) -> None:
    with mesh.client("infer:*") as client:
        answer = client.post("/v2/models/night/infer", json={"inputs": [PIXELS]})
    assert (answer.status_code, answer.json()["error"]) == (403, "this model rests at night")


def test_the_runtime_of_the_page_serves_its_files(mesh: Mesh) -> None:
    x = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}
    with mesh.client("infer:*") as client:
        answer = client.post("/v2/models/linear/infer", json={"inputs": [x]})
    assert answer.json()["outputs"][0]["data"] == [3, 5, 7, 9]


@pytest.mark.parametrize("block", HERE, ids=str)
def test_commands_do_what_the_page_says(
    block: Block, mesh: Mesh, environment: dict[str, str]
) -> None:
    script = "\n".join(here(each, mesh) for each in commands(block) if not looked_at(each))
    said = run(script, mesh, environment)
    for what, shown in SHOWN:
        assert what not in script or shown in said, said


def test_an_embedding_is_kept_for_the_next_who_asks(
    mesh: Mesh, environment: dict[str, str]
) -> None:
    (asked,) = (here(each.text, mesh) for each in HERE if '"model":"minilm"' in each.text)
    run(asked, mesh, environment)
    assert "x-cache: hit" in run(asked, mesh, environment)


def test_what_is_not_run_is_counted() -> None:
    assert Counter(each.mark for each in SHELL if each.mark) == ELSEWHERE


def test_forms_and_what_is_shown_stand_on_the_pages() -> None:
    whole = "\n".join(each.text for each in HERE)
    stale = [form for form, _ in FORMS if form not in whole]
    for form, value in FORMS:
        whole = whole.replace(form, value)
    assert stale + [what for what, _ in SHOWN if what not in whole] == []
