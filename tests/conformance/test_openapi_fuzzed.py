"""The REST face is held to its own description, by requests that schemathesis makes of it.

Each operation gets what the description allows and what it forbids, with a token and without, by
methods that it knows and others; each answer must be one that the description has.
PENSTOCK_FUZZ_TIMES asks so many times more (docs/fuzzing.md), PENSTOCK_FUZZ_SEED other things.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import ValidationError

from chaos.mesh import Mesh
from tests.conformance.admin_operations import admin_document
from tests.conformance.described import Description
from tests.many_times import LIMIT, TIMES

SETTINGS = Path(__file__).with_name("schemathesis.toml")
USER = "infer:*"
SEED = os.environ.get("PENSTOCK_FUZZ_SEED", "1")


@pytest.fixture(autouse=True)
def _alive(mesh: Mesh) -> Iterator[None]:
    """Whatever came in, the processes that were there before are there afterwards."""
    before = {row["epoch"] for row in mesh.endpoints()}
    yield
    assert mesh.gateway.status is None
    assert before == {row["epoch"] for row in mesh.endpoints()}


@pytest.mark.timeout(LIMIT)
def test_every_answer_to_every_request_is_one_that_the_description_has(
    mesh: Mesh, tmp_path: Path
) -> None:
    with mesh.client(USER) as client:
        document = client.get("/openapi.json").raise_for_status().json()

    fuzz(document, mesh.url, mesh.token("admin", USER), tmp_path, 8 * TIMES)


@pytest.mark.timeout(LIMIT)
def test_the_administrative_face_has_an_answer_to_everything(mesh: Mesh, tmp_path: Path) -> None:
    url = f"http://{mesh.address('admin')}"

    fuzz(
        admin_document(),
        url,
        mesh.token("admin"),
        tmp_path,
        4 * TIMES,
        # Its values are all kinds of text, which is neither right nor wrong in itself.
        "--exclude-checks",
        "positive_data_acceptance,negative_data_rejection",
    )


def fuzz(
    document: dict[str, Any], url: str, token: str, folder: Path, examples: int, *more: str
) -> None:
    """Raises AssertionError with what schemathesis has to say, unless all operations are well."""
    # From a file: an operation that it was read from would be left out.
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(SETTINGS)]
    command += ["--no-color", "run", "openapi.json", "--url", url, "--warnings", "off"]
    command += ["--header", f"Authorization: Bearer {token}", "--generation-database", "none"]
    command += ["--seed", SEED, "--max-examples", str(examples), *more]

    # It writes failures beside where it runs.
    ended = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    tested = re.search(r"Tested: (\d+)", ended.stdout)
    assert tested is not None
    assert int(tested[1]) == sum(
        key != "parameters" for item in document["paths"].values() for key in item
    )


def test_a_version_that_is_not_there_has_no_statistics(rest: httpx.Client) -> None:
    reply = rest.get("/v2/models/several/versions/99/stats")

    assert (reply.status_code, reply.json()) == (
        404,
        {"error": 'model "several" has no version "99"'},
    )


@pytest.mark.parametrize("tail", ["", "/ready", "/config", "/stats"])
def test_names_of_models_and_versions_are_as_long_as_the_description_says(
    rest: httpx.Client, tail: str
) -> None:
    long = "m" * 257
    for path in (f"/v2/models/{long}{tail}", f"/v2/models/several/versions/{long}{tail}"):
        reply = rest.get(path)
        assert reply.status_code == 400
        assert "is longer than 256 characters" in reply.json()["error"]


@pytest.mark.parametrize("action", ["load", "unload"])
def test_so_are_those_of_models_that_are_loaded_and_unloaded(
    admin: httpx.Client, action: str
) -> None:
    reply = admin.post(f"/v2/repository/models/{'m' * 257}/{action}")

    assert reply.status_code == 400


@pytest.mark.parametrize("parameters", [None, [], False, ""])
def test_parameters_of_loading_are_an_object(admin: httpx.Client, parameters: object) -> None:
    reply = admin.post("/v2/repository/models/spare/load", json={"parameters": parameters})

    assert (reply.status_code, reply.json()) == (400, {"error": "parameters: must be an object"})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v2/models/several/infer", "POST"),
        ("DELETE", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/v2", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(
    mesh: Mesh, method: str, path: str, allowed: str
) -> None:
    with mesh.client(USER) as client:
        reply = client.request(method, path)

    assert reply.status_code == 405
    assert {each.strip() for each in reply.headers["allow"].split(",")} == set(allowed.split(", "))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "chat", "prompt": [], "max_tokens": 1}, "prompt"),
        ({"model": "chat", "prompt": "a", "stream_options": {}}, "stream_options"),
        ({"model": "chat", "prompt": "a", "best_of": 0}, "best_of"),
        ({"model": "m" * 257, "prompt": "a"}, "model"),
    ],
)
def test_what_is_refused_of_a_prompt_is_not_described_either(
    mesh: Mesh, description: Description, body: dict[str, object], param: str
) -> None:
    with mesh.client(USER) as client:
        reply = client.post("/v1/completions", json=body)

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    with pytest.raises(ValidationError):
        description.validate(body, "components", "schemas", "CompletionRequest")
