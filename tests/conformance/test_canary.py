"""A canary: values sent through every face are found in nothing that keeps or shows anything.

Who sent them gets them back as they were. A new place to look in is one line of `PLACES`, a new way
in one line of `FACES`.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from chaos.mesh import Mesh
from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.integration.mesh_models import ECHO, write_model
from tests.openai_server import Server, serving

MAIL = "canary@bird.example.com"
CARD = "4111 1111 1111 1111"
SSN = "536-90-4399"  # blocked
TEXT = f"I am {MAIL}, my card is {CARD}, thanks."
# What may not be found anywhere, in any case and however it is written.
IBAN = "be68539007547034"  # hexadecimal digits, as ids that are made here are
MODELS_OWN = "raven@bird.example.com"  # said by the model alone
NEEDLES = (
    *("canary@bird", "canary%40bird", "canary\\u0040bird"),
    *(CARD, CARD.replace(" ", ""), CARD.replace(" ", "-"), IBAN, MODELS_OWN),
)

# They write down all that they see, and say it again with something of their own. Asked to, they
# fail and quote it.
SEES = """
import numpy as np

def predict(inputs):
    with open({seen!r}, "a") as seen:
        seen.write(repr(inputs) + "\\n")
    text = inputs["text"].reshape(-1)[0]
    text = text if isinstance(text, str) else text.decode()
    if "please fail" in text:
        raise ValueError(text)
    said = f"Version {version} was told: {{text}} And I know {own}."
    return {{"said": np.array([[said]], object)}}
"""
SEES_TENSORS = """
inputs: [{name: text, datatype: BYTES, shape: [-1, 1]}]
outputs: [{name: said, datatype: BYTES, shape: [-1, 1]}]
warmUp: {data: "off"}
"""
TELLS = """
import numpy as np

def predict(inputs, parameters):
    with open({seen!r}, "a") as seen:
        seen.write(repr(inputs) + repr(parameters) + "\\n")
    text = inputs["text"].reshape(-1)[0]
    text = (text if isinstance(text, str) else text.decode()) + " And I know {own}."
    for start in range(0, len(text), 3):
        if start and "please fail" in text:
            raise ValueError(text)
        yield {{"said": np.array([text[start : start + 3]], object)}}
"""
TELLS_TENSORS = """
decoupled: true
inputs: [{name: text, datatype: BYTES, shape: [1]}]
outputs: [{name: said, datatype: BYTES, shape: [1]}]
warmUp: {data: "off"}
"""
# Writes what it judges to a place of its own, as that has the model's own words in it.
JUDGES = """
import numpy as np

def predict(inputs):
    with open({judged!r}, "a") as judged:
        judged.write(repr(inputs) + "\\n")
    return {{"score": np.zeros((len(inputs["text"]), 1), np.float32)}}
"""
JUDGES_TENSORS = """
inputs: [{name: text, datatype: BYTES, shape: [-1, 1]}]
outputs: [{name: score, datatype: FP32, shape: [-1, 1]}]
warmUp: {data: "off"}
"""
NUMBERS_TENSORS = """
inputs: [{name: x, datatype: FP32, shape: [-1, 1]}]
outputs: [{name: y, datatype: FP32, shape: [-1, 1]}]
"""


def _route(name: str, match: str, model: str, version: str = "1", policy: str = "bank") -> str:
    return f"""
apiVersion: penstock/v1
kind: Route
metadata: {{name: {name}}}
spec:
  match: [{{model: "{match}"}}]
  backends: [{{name: stable, model: {model}, version: "{version}"}}]
  privacy: {{policy: {policy}}}
  audit: {{payloads: 100%}}
"""


ROUTES = {
    "bank.yaml": """
apiVersion: penstock/v1
kind: Privacy
metadata: {name: bank}
spec: {entities: {US_SSN: {action: block}}}
""",
    "pictures.yaml": """
apiVersion: penstock/v1
kind: Privacy
metadata: {name: pictures}
spec: {binaryInputs: [text], entities: {US_SSN: {action: block}}}
""",
    "clean.yaml": """
apiVersion: penstock/v1
kind: Output
metadata: {name: clean}
spec: {classifier: {model: judge, input: text, output: score, threshold: 0.9, timeout: 60s}}
""",
    "sees.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: sees}
spec:
  match: [{model: sees}]
  backends: [{name: stable, model: sees, version: "1"}]
  mirror:
    - {backend: next, model: sees, version: "2", percent: 100,
       compare: {kind: text, payloads: true}}
  privacy: {policy: bank}
  output: {policy: clean}
  audit: {payloads: 100%}
  cache: {ttl: 5m}
""",
    "pictured.yaml": _route("pictured", "pictured", "sees", policy="pictures"),
    "pattern.yaml": _route("pattern", "gpt-*", "echo"),
    "numbers.yaml": _route("numbers", "numbers", "numbers"),
    "embeds.yaml": _route("embeds", "embeds", "embed"),
    "endless.yaml": _route("endless", "endless", "slow"),
    "quoting.yaml": _route("quoting", "quoting", "quotes"),
    "tells.yaml": _route("tells", "tells", "tells"),
    "assistant.yaml": _route("assistant", "assistant", "echo"),
}


class Site:
    """A mesh with its clients; all that it keeps lies in `mesh.folder`."""

    def __init__(
        self, mesh: Mesh, models: Path, server: Server, rest: httpx.Client, stub: Any
    ) -> None:
        self.mesh = mesh
        self.models = models
        self.server = server
        self.rest = rest
        self.stub = stub
        self.metadata = (("authorization", f"Bearer {mesh.token('infer:*')}"),)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("canary")
    repository = tmp_path_factory.mktemp("models")  # where the models' own words stand
    more = {"seen": str(folder / "seen"), "own": MODELS_OWN}
    for version in (1, 2):
        write_model(repository / "sees" / str(version), SEES.format(version=version, **more), "")
    (repository / "sees" / "model.yaml").write_text(SEES_TENSORS)
    write_model(repository / "tells", TELLS.format(**more), TELLS_TENSORS)
    judged = {"judged": str(repository / "judged")}
    write_model(repository / "judge", JUDGES.format(**judged), JUDGES_TENSORS)
    write_model(repository / "numbers", ECHO, NUMBERS_TENSORS)
    server = Server()
    with serving(server) as url, Mesh(folder, routes=ROUTES) as mesh:
        mesh.join_openai("llm", url)
        mesh.start_backend("backend", repository)
        mesh.wait_ready(
            *[("sees", "1"), ("sees", "2"), ("tells", "1"), ("judge", "1"), ("numbers", "1")],
            *[(model, "1") for model in ("echo", "embed", "slow", "quotes")],
        )
        with (
            mesh.client("infer:*") as rest,
            grpc.insecure_channel(mesh.address("grpc")) as channel,
        ):
            yield Site(mesh, repository, server, rest, GRPCInferenceServiceStub(channel))


# --- the ways in ----------------------------------------------------------------------------------

MORE = {"user": MAIL, "sequence_hint": CARD}


def rest_json(site: Site, text: str) -> str:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": [text]}
    body = {"id": MAIL, "inputs": [tensor], "parameters": MORE}
    reply = site.rest.post("/v2/models/sees/infer", json=body)
    return str(reply.json()["outputs"][0]["data"][0]) if reply.is_success else reply.text


def listed_as_binary(site: Site, text: str) -> str:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": [text]}
    reply = site.rest.post("/v2/models/pictured/infer", json={"inputs": [tensor]})
    return str(reply.json()["outputs"][0]["data"][0]) if reply.is_success else reply.text


def rest_binary(site: Site, text: str) -> str:
    data = len(text.encode()).to_bytes(4, "little") + text.encode()
    tensor = {
        **{"name": "text", "datatype": "BYTES", "shape": [1, 1]},
        "parameters": {"binary_data_size": len(data)},
    }
    head = json.dumps(
        {"inputs": [tensor], "parameters": {**MORE, "binary_data_output": True}}
    ).encode()
    headers = {"inference-header-content-length": str(len(head))}
    reply = site.rest.post("/v2/models/sees/infer", content=head + data, headers=headers)
    if not reply.is_success:
        return reply.text
    at = int(reply.headers["inference-header-content-length"]) + 4
    return reply.content[at:].decode()


def generate(site: Site, text: str) -> str:
    reply = site.rest.post("/v2/models/sees/generate", json={"text": text, "id": MAIL, **MORE})
    return str(reply.json()["said"]) if reply.is_success else reply.text


def generate_stream(site: Site, text: str) -> str:
    reply = site.rest.post("/v2/models/tells/generate_stream", json={"text": text, **MORE})
    if not reply.is_success:
        return reply.text
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: ")]
    return "".join(event.get("said", event.get("error", "")) for event in events)


def _message(model: str, text: str, *, raw: bool) -> pb.ModelInferRequest:
    shape = [1, 1] if model == "sees" else [1]
    tensor = pb.ModelInferRequest.InferInputTensor(name="text", datatype="BYTES", shape=shape)
    message = pb.ModelInferRequest(model_name=model, id=MAIL, inputs=[tensor])
    for name, value in MORE.items():
        message.parameters[name].string_param = value
    if raw:
        message.raw_input_contents.append(len(text.encode()).to_bytes(4, "little") + text.encode())
    else:
        message.inputs[0].contents.bytes_contents.append(text.encode())
    return message


def grpc_raw(site: Site, text: str) -> str:
    try:
        reply = site.stub.ModelInfer(_message("sees", text, raw=True), metadata=site.metadata)
    except grpc.RpcError as error:
        return str(error)
    return bytes(reply.raw_output_contents[0][4:]).decode()


def grpc_typed(site: Site, text: str) -> str:
    try:
        reply = site.stub.ModelInfer(_message("sees", text, raw=False), metadata=site.metadata)
    except grpc.RpcError as error:
        return str(error)
    return bytes(reply.outputs[0].contents.bytes_contents[0]).decode()


def grpc_stream(site: Site, text: str) -> str:
    messages = iter([_message("tells", text, raw=True)])
    replies = site.stub.ModelStreamInfer(messages, metadata=site.metadata)
    return "".join(
        each.error_message or bytes(each.infer_response.raw_output_contents[0][4:]).decode()
        for each in replies
        if each.error_message or each.infer_response.raw_output_contents
    )


def _chat(text: str) -> dict[str, Any]:
    """A conversation with the canary in every kind of place; the last message is repeated."""
    arguments = json.dumps({"mail": MAIL, "card": CARD})
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {
        "model": "assistant",
        "messages": [
            {"role": "system", "content": f"You serve {MAIL}."},
            {"role": "user", "name": MAIL, "content": [{"type": "text", "text": TEXT}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": json.dumps([MAIL, CARD])},
            {"role": "user", "content": text},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": f"asks {MAIL}"}}],
        "metadata": {"mail": MAIL, MAIL: "mail"},
        "user": MAIL,
        "stop": [MAIL],
    }


def chat(site: Site, text: str) -> str:
    reply = site.rest.post("/v1/chat/completions", json=_chat(text))
    return str(reply.json()["choices"][0]["message"]["content"]) if reply.is_success else reply.text


def chat_stream(site: Site, text: str) -> str:
    return _streamed(site, "/v1/chat/completions", _chat(text))


def completions(site: Site, text: str) -> str:
    reply = site.rest.post("/v1/completions", json={"model": "assistant", "prompt": text})
    return str(reply.json()["choices"][0]["text"]) if reply.is_success else reply.text


def completions_stream(site: Site, text: str) -> str:
    return _streamed(site, "/v1/completions", {"model": "assistant", "prompt": text, "user": MAIL})


def _streamed(site: Site, path: str, body: dict[str, Any]) -> str:
    reply = site.rest.post(path, json={**body, "stream": True})
    if not reply.is_success:
        return reply.text
    lines = [line[6:] for line in reply.text.splitlines() if line.startswith("data: {")]
    choices = [choice for line in lines for choice in json.loads(line).get("choices", ())]
    return "".join(
        each.get("text") or each.get("delta", {}).get("content") or "" for each in choices
    )


Face = Callable[[Site, str], str]
OPENAI: tuple[Face, ...] = (chat, chat_stream, completions, completions_stream)
FACES: tuple[Face, ...] = (
    *OPENAI,
    rest_json,
    listed_as_binary,
    rest_binary,
    generate,
    generate_stream,
    grpc_raw,
    grpc_typed,
    grpc_stream,
)

# --- ways that answer nothing that was sent -------------------------------------------------------

NUMBER = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}


def embeddings(site: Site) -> int:
    body = {"model": "embeds", "input": [TEXT, MAIL], "user": MAIL}
    return site.rest.post("/v1/embeddings", json=body).status_code


def client_that_leaves(site: Site) -> int:
    body = {**_chat(TEXT), "model": "endless", "stream": True}
    with site.rest.stream("POST", "/v1/chat/completions", json=body) as reply:
        next(reply.iter_lines())
        return reply.status_code


def ids(site: Site) -> int:
    given = ("x", CARD.replace(" ", "-"), CARD.replace(" ", ""), IBAN)
    codes = {_numbers(site, {"x-request-id": each}) for each in given}
    return codes.pop() if len(codes) == 1 else 0


def broken_trace(site: Site) -> int:
    return _numbers(site, {"traceparent": f"00-{MAIL}-01"})


def _numbers(site: Site, headers: dict[str, str]) -> int:
    body = {"inputs": [NUMBER]}
    return site.rest.post("/v2/models/numbers/infer", json=body, headers=headers).status_code


def name_of_an_input(site: Site) -> int:
    body = {"inputs": [{**NUMBER, "name": MAIL}]}
    return site.rest.post("/v2/models/numbers/infer", json=body).status_code


def name_of_a_parameter(site: Site) -> int:
    body = {"inputs": [NUMBER], "parameters": {MAIL: 1}}
    return site.rest.post("/v2/models/numbers/infer", json=body).status_code


def name_of_a_model(site: Site) -> int:
    body = {**_chat(TEXT), "model": f"gpt-{MAIL}"}
    return site.rest.post("/v1/chat/completions", json=body).status_code


OTHERS: dict[Callable[[Site], int], int] = {
    embeddings: 200,
    client_that_leaves: 200,
    ids: 200,
    broken_trace: 200,
    name_of_an_input: 400,
    name_of_a_parameter: 400,
    name_of_a_model: 400,
}

# --- where to look --------------------------------------------------------------------------------


def _files(site: Site) -> str:
    """All that lies in the mesh's folder: logs, audit, records, keys, what models saw."""
    kept = [path for path in site.mesh.folder.rglob("*") if path.is_file()]
    return "\n".join(path.read_bytes().decode("latin-1") for path in kept)


def _records(site: Site) -> str:
    """The record store as its reader sees it, whatever of it is still in a journal."""
    with sqlite3.connect(f"file:{site.mesh.folder}/state/records.db?mode=ro", uri=True) as store:
        return "\n".join(store.iterdump())


def _judged(site: Site) -> str:
    return (site.models / "judged").read_text()


PLACES: dict[str, Callable[[Site], str]] = {
    "files": _files,
    "what models saw": lambda site: (site.mesh.folder / "seen").read_text(),
    "what was judged": lambda site: _judged(site).replace(MODELS_OWN, ""),
    "what the model server saw": lambda site: json.dumps(site.server.requests),
    "records": _records,
    "metrics": lambda site: site.mesh.metrics(),
    "endpoints": lambda site: json.dumps(site.mesh.endpoints()),
    "routes": lambda site: site.mesh.admin("GET", "/admin/routes").text,
}


@pytest.fixture(scope="module")
def answers(site: Site) -> dict[str, str]:
    """What each face answered; two of them ask for what is kept by then."""
    for way, code in OTHERS.items():
        assert way(site) == code, way.__name__
    said = {face.__name__: face(site, TEXT) for face in (*FACES, rest_json)}

    def compared() -> bool:
        return '"compared"' in _records(site) or "'compared'" in _records(site)

    def sampled() -> bool:
        folder = site.mesh.folder / "state" / "audit" / "payloads"
        return len("".join(path.read_text() for path in folder.glob("*")).splitlines()) >= len(
            FACES
        )

    site.mesh.wait(compared, "a mirrored request to be recorded")
    site.mesh.wait(sampled, "samples of requests and replies")
    return said


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_who_sent_a_value_gets_it_back_and_nothing_of_the_models_own(
    answers: dict[str, str], face: Face
) -> None:
    said = answers[face.__name__]
    assert TEXT in said
    assert MODELS_OWN not in said
    assert face in OPENAI or "And I know [EMAIL_" in said


@pytest.mark.parametrize("place", PLACES)
def test_the_canary_is_in_no_place(site: Site, answers: dict[str, str], place: str) -> None:
    found = PLACES[place](site).lower()
    assert found
    assert [needle for needle in NEEDLES if needle.lower() in found] == []


def test_what_models_saw_were_placeholders(site: Site, answers: dict[str, str]) -> None:
    seen = PLACES["what models saw"](site)
    assert "[EMAIL_" in seen  # equal requests were answered from the cache
    assert "[CREDIT_CARD_" in seen


def test_answers_that_are_kept_of_mirrors_are_redacted(site: Site, answers: dict[str, str]) -> None:
    kept = _records(site)
    assert "was told: I am [EMAIL_" in kept
    assert MODELS_OWN not in kept


def _refused(site: Site, face: Face, text: str) -> None:
    told = face(site, text)
    assert told
    _silent(site, told)


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_a_refusal_has_no_value_in_it(site: Site, face: Face) -> None:
    _refused(site, face, f"My SSN is {SSN}, {TEXT}")


@pytest.mark.parametrize(
    "face", [each for each in FACES if each not in OPENAI], ids=lambda face: face.__name__
)
def test_the_failure_of_a_model_that_quotes_its_input_has_no_value_in_it(
    site: Site, face: Face
) -> None:
    _refused(site, face, f"please fail, {TEXT}")


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"])
def test_the_failure_of_a_server_that_quotes_what_it_was_told_has_no_value_in_it(
    site: Site, path: str, streaming: bool
) -> None:
    body = {**_chat(TEXT), "model": "quoting", "stream": streaming, "prompt": TEXT, "input": TEXT}
    if path == "/v1/embeddings":
        del body["stream"]
    reply = site.rest.post(path, json=body)
    assert reply.status_code == 400
    assert "[EMAIL_" in reply.text
    _silent(site, reply.text)


def _silent(site: Site, told: str) -> None:
    for place in (told, _files(site), _records(site)):
        assert [each for each in (*NEEDLES, SSN) if each in place] == []


def test_what_is_judged_are_the_models_words_and_nobody_elses(
    site: Site, answers: dict[str, str]
) -> None:
    judged = _judged(site)
    assert MODELS_OWN in judged
    assert "was told: I am [EMAIL_" in judged


def test_the_id_of_a_request_is_echoed_exactly(site: Site) -> None:
    body = {"id": MAIL, "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1, 1]}]}
    body["inputs"][0]["data"] = ["hello"]  # type: ignore[index]
    assert site.rest.post("/v2/models/sees/infer", json=body).json()["id"] == MAIL
