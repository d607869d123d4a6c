"""Malformed REST input of every field: 400 with a sentence that names it, and the process lives."""

import copy
import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos.mesh import Mesh

Body = dict[str, Any]
PATH = "/v2/models/several/infer"
GOOD: Body = {
    "id": "7",
    "parameters": {"priority": 1},
    "inputs": [
        {"name": "left", "datatype": "INT32", "shape": [1, 3], "data": [10, 20, 30]},
        {"name": "right", "datatype": "INT32", "shape": [1, 3], "data": [[1, 2, 3]]},
        {"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": ["abc"]},
    ],
    "outputs": [{"name": "sum"}],
}


@pytest.fixture(scope="module", autouse=True)
def _alive(mesh: Mesh) -> Iterator[None]:
    """Whatever came in, the processes that were there before are there afterwards."""
    before = mesh.gateway.pid, {row["epoch"] for row in mesh.endpoints()}
    yield
    assert mesh.gateway.status is None
    assert before == (mesh.gateway.pid, {row["epoch"] for row in mesh.endpoints()})


def changed(*path: str | int, to: Any) -> Body:
    """GOOD with one place changed; Ellipsis removes it."""
    body = copy.deepcopy(GOOD)
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return body


def left(**fields: Any) -> Body:
    body = copy.deepcopy(GOOD)
    body["inputs"][0].update(fields)
    return body


def test_the_request_that_is_spoilt_below_is_good(rest: httpx.Client) -> None:
    reply = rest.post(PATH, json=GOOD)

    assert reply.status_code == 200
    assert reply.json() == {
        "model_name": "several",
        "model_version": "1",
        "id": "7",
        "outputs": [{"name": "sum", "datatype": "INT32", "shape": [1, 3], "data": [11, 22, 33]}],
    }


IN_THE_GATEWAY: list[tuple[Body, str]] = [
    (changed("id", to=7), "id: must be a string"),
    (changed("parameters", to=[]), "parameters: must be an object"),
    (changed("parameters", "priority", to="high"), "parameters.priority: must be an integer"),
    (changed("parameters", "priority", to=-1), "parameters.priority: -1 is outside"),
    (changed("parameters", to={"timeout": 0.5}), "parameters.timeout: must be a non-negative"),
    (changed("parameters", to={"a": {}}), 'parameters: "a" must be a boolean'),
    (
        changed("parameters", to={"binary_data_output": 1}),
        "parameters.binary_data_output: must be true or false",
    ),
    (changed("inputs", to=...), "inputs: is missing"),
    (changed("inputs", to=[]), "inputs: there must be at least one"),
    (changed("inputs", to={}), "inputs: must be an array"),
    (changed("inputs", 1, to=3), "inputs[1]: must be an object"),
    (changed("inputs", 1, "name", to="left"), 'inputs: "left" is there twice'),
    (left(name=""), "inputs[0]: name must be a string"),
    (changed("inputs", 0, "name", to=...), "inputs[0]: name must be a string"),
    (left(datatype="INT33"), 'inputs[0] "left":'),
    (left(datatype=3), 'inputs[0] "left": datatype must be a string'),
    (left(shape=[1, "3"]), 'inputs[0] "left": shape must consist of integers'),
    (left(shape=[-1, 3]), 'inputs[0] "left": shape has a negative dimension, -1'),
    (left(shape=[2**40, 2**40]), 'inputs[0] "left": shape has more than'),
    (left(shape=[2, 3]), 'inputs[0] "left": data has 3 elements'),
    (changed("inputs", 0, "shape", to=...), 'inputs[0] "left": shape: is missing'),
    (changed("inputs", 0, "data", to=...), 'inputs[0] "left": data: is missing'),
    (left(data=[1, 2.5, 3]), 'inputs[0] "left": data[1] must be an integer'),
    (left(data=[1, True, 3]), 'inputs[0] "left": data[1] must be an integer'),
    (left(data=[1, 2**31, 3]), "data[1] is outside INT32's range"),
    (left(data=[[1, 2], [3]]), 'inputs[0] "left": data must be an array of 1'),
    (left(parameters={"binary_data_size": 12}), "there are both data and binary_data_size"),
    (left(parameters={"binary_data_sze": 12}), "there is no parameter"),
    (left(dta=[]), 'there is no field "dta"; did you mean "data"?'),
    (changed("inputs", 2, "data", to=[3]), 'inputs[2] "text": data[0] must be a string'),
    (changed("outputs", to="sum"), "outputs: must be an array"),
    (changed("outputs", 0, to={}), "outputs[0]: name must be"),
    (changed("outputs", 0, "parameters", to={"binary_data": 1}), "binary_data: must be true"),
    (changed("outputs", to=[{"name": "sum"}] * 2), 'outputs: "sum" is there twice'),
    ({**GOOD, "input": []}, 'there is no field "input"; did you mean "inputs"?'),
]
IN_THE_BACKEND: list[tuple[Body, str]] = [
    (left(name="lefd"), '"left" is missing'),
    (changed("inputs", 2, to=...), '"text" is missing'),
    (left(datatype="INT64"), '"left": datatype is INT64, the model takes INT32'),
    (left(shape=[3]), '"left": shape is [3], the model takes [-1, 3]'),
    (left(shape=[1, 1, 3]), '"left": shape is [1, 1, 3], the model takes [-1, 3]'),
    (left(shape=[1, 2], data=[1, 2]), '"left": shape is [1, 2], the model takes [-1, 3]'),
    (left(shape=[0, 3], data=[]), "left"),
    (left(shape=[2, 3], data=[0] * 6), "left"),
    ({**GOOD, "inputs": [*GOOD["inputs"], {**GOOD["inputs"][0], "name": "up"}]}, '"up"'),
    (changed("outputs", 0, "name", to="som"), 'the model has no output "som"; it gives "sum"'),
]


@pytest.mark.parametrize(("body", "sentence"), IN_THE_GATEWAY)
def test_what_the_protocol_forbids_is_named(rest: httpx.Client, body: Body, sentence: str) -> None:
    reply = rest.post(PATH, json=body)

    assert reply.status_code == 400
    assert sentence in reply.json()["error"]


@pytest.mark.parametrize(("body", "sentence"), IN_THE_BACKEND)
def test_what_the_model_does_not_take_is_named(
    rest: httpx.Client, body: Body, sentence: str
) -> None:
    reply = rest.post(PATH, json=body)

    assert reply.status_code == 400
    assert sentence in reply.json()["error"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the body is not valid JSON"),
        (b"[]", "the body must be a JSON object"),
        (b"{", "the body is not valid JSON"),
        (json.dumps(GOOD).encode() + b"x", "the body is not valid JSON"),
        (json.dumps(GOOD).replace("30", "NaN").encode(), "the body is not valid JSON"),
        (json.dumps(GOOD).replace("30", "1e400").encode(), "the body"),
        (json.dumps(GOOD).replace("30", "9" * 4300).encode(), "the body is not valid JSON"),
        (json.dumps(GOOD).replace('"abc"', '"\\ud800"').encode(), "the body is not valid JSON"),
        (json.dumps(GOOD).replace('"abc"', "[" * 200 + "]" * 200).encode(), "nested deeper"),
        (b'{"id": "a", "id": "b", "inputs": []}', 'the key "id" is there twice'),
        (b"\xff\xfe{}", "the body is not valid JSON"),
    ],
)
def test_what_is_no_json_is_said_to_be_none(
    rest: httpx.Client, content: bytes, sentence: str
) -> None:
    reply = rest.post(PATH, content=content)

    assert reply.status_code == 400
    assert sentence in reply.json()["error"]


def _binary(size: int) -> bytes:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2]}
    body = {"inputs": [{**tensor, "parameters": {"binary_data_size": size}}]}
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("head", "length", "data", "sentence"),
    [
        (_binary(8), 10_000, bytes(8), "Inference-Header-Content-Length: is 10000"),
        (_binary(8), -1, bytes(8), "Inference-Header-Content-Length: must be a number"),
        (_binary(9), None, bytes(9), 'inputs[0] "x":'),
        (_binary(16), None, bytes(8), "binary_data_size is 16, 8 bytes are left"),
        (_binary(8), None, bytes(12), "4 bytes follow the last input's binary data"),
        (b"", 0, bytes(7), 'input "x":'),
    ],
)
def test_binary_tensors_must_be_as_long_as_they_say(
    rest: httpx.Client, head: bytes, length: int | None, data: bytes, sentence: str
) -> None:
    said = len(head) if length is None else length
    headers = {"inference-header-content-length": str(said)}

    reply = rest.post("/v2/models/echo_fp32/infer", content=head + data, headers=headers)

    assert reply.status_code == 400
    assert sentence in reply.json()["error"]


@pytest.mark.parametrize(
    ("headers", "content", "status", "sentence"),
    [
        ({"content-type": "text/xml"}, b"{}", 415, "Content-Type"),
        ({"content-encoding": "br"}, b"{}", 415, "Content-Encoding"),
        ({"content-encoding": "gzip"}, b"{}", 400, "Content-Encoding"),
        ({"content-encoding": "gzip"}, gzip.compress(bytes(50_000_000)), 413, "unpacks"),
    ],
)
def test_bodies_of_another_kind(
    rest: httpx.Client, headers: dict[str, str], content: bytes, status: int, sentence: str
) -> None:
    reply = rest.post(PATH, content=content, headers=headers)

    assert reply.status_code == status
    assert sentence in reply.json()["error"]


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/v2/models/missing/infer", 404, 'model "missing" is not found'),
        ("/v2/models/several/versions/9/infer", 404, 'model "several" has no version "9"'),
        ("/v2/models/several/versions/one/infer", 404, 'model "several" has no version "one"'),
        ("/v2/models/%2e%2e/infer", 404, "is not found"),
        ("/v2/models/fails/infer", 400, '"x" is missing'),
        ("/v2/models/count/infer", 400, "is missing"),
    ],
)
def test_paths_that_lead_nowhere(rest: httpx.Client, path: str, status: int, sentence: str) -> None:
    reply = rest.post(path, json=GOOD)

    assert reply.status_code == status
    assert sentence in reply.json()["error"]


def test_shared_memory_and_classification_are_not_offered(rest: httpx.Client) -> None:
    region = left(parameters={"shared_memory_region": "r", "shared_memory_byte_size": 12})
    classes = changed("outputs", 0, "parameters", to={"classification": 3})

    for body in (region, classes):
        assert rest.post(PATH, json=body).status_code == 501


def test_a_failing_model_tells_nothing_of_itself(rest: httpx.Client) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}

    reply = rest.post("/v2/models/fails/infer", json={"inputs": [tensor]})

    assert reply.status_code == 500
    assert "secret" not in reply.text


@pytest.mark.parametrize("action", ["generate", "generate_stream"])
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"n": 3}, '"pause" is missing'),
        ({"n": "three", "pause": 0}, '"n": must be an integer'),
        ({"n": [[3]], "pause": 0}, '"n": is nested deeper'),
        ({"n": 3, "pause": 0, "start": None}, '"start" is no input of the model'),
        ({"n": 3, "pause": 0, "id": 7}, "id: must be a string"),
        ({"n": 3, "pause": 0, "parameters": 1}, "parameters: must be an object"),
    ],
)
def test_generate_names_the_field_too(
    rest: httpx.Client, action: str, body: Body, sentence: str
) -> None:
    reply = rest.post(f"/v2/models/count/{action}", json=body)

    assert reply.status_code == 400
    assert sentence in reply.json()["error"]


@pytest.mark.parametrize("body", [{"ready": "yes"}, {"raedy": True}])
def test_the_index_names_the_field_too(rest: httpx.Client, body: Body) -> None:
    reply = rest.post("/v2/repository/index", json=body)

    assert reply.status_code == 400
    assert next(iter(body)) in reply.json()["error"]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_PLACES: list[tuple[str | int, ...]] = [
    ("id",),
    ("parameters",),
    ("parameters", "priority"),
    ("inputs",),
    ("outputs",),
    ("outputs", 0),
    *(("inputs", 0, field) for field in ("name", "datatype", "shape", "data", "parameters")),
]


@settings(
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(place=st.sampled_from(_PLACES), value=_VALUES)
def test_no_value_in_any_place_is_a_fault_of_the_server(
    rest: httpx.Client, place: tuple[str | int, ...], value: Any
) -> None:
    content = json.dumps(changed(*place, to=value)).encode()

    reply = rest.post(PATH, content=content)

    assert reply.status_code in (200, 400, 501), reply.text
