"""Output policies on a real mesh: masked, refused in mid-stream, judged by a served model."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from chaos.mesh import Mesh
from tests.integration.mesh_models import write_model

CARD = "4111 1111 1111 1111"

# Says what it was asked, a word a part.
PARROT = """
import numpy as np

def predict(inputs, parameters):
    words = inputs["text_input"][0].decode().split(" ")
    for at, word in enumerate(words):
        said = word + (" " if at + 1 < len(words) else "")
        yield {"text_output": np.array([said.encode()], object)}
"""
PARROT_CONFIG = """
decoupled: true
inputs: [{name: text_input, datatype: BYTES, shape: [1]}]
outputs: [{name: text_output, datatype: BYTES, shape: [1]}]
warmUp: {data: "off"}
"""
ECHO = """
def predict(inputs):
    return {"text_output": inputs["text_input"]}
"""
ECHO_CONFIG = """
inputs: [{name: text_input, datatype: BYTES, shape: [-1, 1]}]
outputs: [{name: text_output, datatype: BYTES, shape: [-1, 1]}]
warmUp: {data: "off"}
"""
RUDE = """
import numpy as np

def predict(inputs):
    rude = [b"fool" in each for each in inputs["text"].reshape(-1)]
    return {"rude": np.array(rude, np.float32).reshape(-1, 1)}
"""
RUDE_CONFIG = """
inputs: [{name: text, datatype: BYTES, shape: [-1, 1]}]
outputs: [{name: rude, datatype: FP32, shape: [-1, 1]}]
warmUp: {data: "off"}
"""

POLICY = """
apiVersion: penstock/v1
kind: Output
metadata: {name: clean}
spec:
  entities: {CREDIT_CARD: {action: mask, keepLast: 4}}
  patterns: [{name: LAUNCH, pattern: 'launch code [0-9]+', action: block}]
  classifier: {model: rude, input: text, output: rude, threshold: 0.5, timeout: 20s}
"""
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: {name}}}
spec:
  match: [{{model: {name}}}]
  backends: [{{name: only, model: {model}, version: "1"}}]
  output: {{policy: clean}}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("output")
    repository = folder / "models"
    write_model(repository / "parrot", PARROT, PARROT_CONFIG)
    write_model(repository / "echo", ECHO, ECHO_CONFIG)
    write_model(repository / "rude", RUDE, RUDE_CONFIG)
    routes = {"clean.yaml": POLICY} | {
        f"{name}.yaml": ROUTE.format(name=name, model=model)
        for name, model in (("talk", "parrot"), ("write", "echo"))
    }
    with Mesh(folder, routes=routes) as mesh:
        mesh.start_backend("only", repository)
        mesh.wait_ready(("parrot", "1"), ("echo", "1"), ("rude", "1"))
        yield mesh


def ask(mesh: Mesh, path: str, text: str) -> httpx.Response:
    with mesh.client("infer:talk", "infer:write") as client:
        return client.post(f"/v2/models/{path}", json={"text_input": text})


def events(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    lines = [line for line in response.text.splitlines() if line.startswith("data:")]
    return [json.loads(line.removeprefix("data:")) for line in lines]


def test_a_whole_answer_is_masked(mesh: Mesh):
    answer = ask(mesh, "write/generate", f"It is {CARD}.")
    assert answer.json()["text_output"] == "It is **** **** **** 1111."


def test_a_whole_answer_is_refused_without_a_word_of_it(mesh: Mesh):
    answer = ask(mesh, "write/generate", "Here: launch code 1234.")
    assert answer.status_code == 403
    assert answer.json()["error"] == "the output policy refuses what the model says: 1 LAUNCH"


def test_the_classifier_is_asked_although_the_caller_may_not_use_it(mesh: Mesh):
    answer = ask(mesh, "write/generate", "You are a fool.")
    assert answer.status_code == 403
    assert answer.json()["error"] == "the output policy refuses what the model says: 1 rude"
    assert ask(mesh, "rude/generate", "You are a fool.").status_code == 404


def test_a_stream_is_masked_across_its_parts(mesh: Mesh):
    found = events(ask(mesh, "talk/generate_stream", f"Yes. It is {CARD} for sure."))
    said = "".join(each["text_output"] for each in found)
    assert said == "Yes. It is **** **** **** 1111 for sure."


@pytest.mark.parametrize(
    ("text", "why"),
    [("You are kind. You fool. Bye.", "1 rude"), ("launch code 77 now", "1 LAUNCH")],
)
def test_a_stream_ends_with_an_error_event_that_quotes_nothing(mesh: Mesh, text: str, why: str):
    response = ask(mesh, "talk/generate_stream", text)
    if response.status_code == 200:
        *said, last = events(response)
        heard = "".join(each["text_output"] for each in said)
        assert text.startswith(heard)
        error = last["error"]
    else:
        assert response.status_code == 403  # nothing could be said before
        error = response.json()["error"]
    assert error == f"the output policy refuses what the model says: {why}"
    assert "fool" not in response.text
    assert "77" not in response.text


def test_what_is_found_is_counted(mesh: Mesh):
    ask(mesh, "write/generate", f"{CARD} launch code 1")
    labels = 'penstock_output_found_total{route="write",mode="enforce",found="LAUNCH"}'
    mesh.wait(lambda: labels in mesh.metrics(), "the counter")
    assert 'penstock_output_refused_total{route="write"}' in mesh.metrics()
