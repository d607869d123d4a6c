"""The REST face by hand: every documented operation, and what Triton's clients never send."""

import json
import re

import httpx
import numpy as np
import pytest

from tests.conformance.described import Description

SEVERAL = {
    "inputs": [
        {"name": "left", "datatype": "INT32", "shape": [2, 3], "data": [[1, 2, 3], [4, 5, 6]]},
        {"name": "right", "datatype": "INT32", "shape": [2, 3], "data": [1, 1, 1, 2, 2, 2]},
        {"name": "text", "datatype": "BYTES", "shape": [2, 1], "data": ["a", "bc"]},
    ]
}
LENGTH = "inference-header-content-length"
BODIES = {
    "infer": SEVERAL,
    "generate": {"left": [1, 2, 3], "right": [1, 1, 1], "text": "a"},
    "generate_stream": {"left": [1, 2, 3], "right": [1, 1, 1], "text": "a"},
}


OPENAI = {
    "/v1/chat/completions": {
        "model": "chat",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "n": 2,
        "stream": None,
        "top_k": 5,
    },
    "/v1/completions": {"model": "chat", "prompt": [1, 2], "max_tokens": 0},
    "/v1/embeddings": {"model": "embed", "input": ["a", "b"], "encoding_format": "float"},
}


def test_every_documented_operation_succeeds_as_described(
    admin: httpx.Client, description: Description
) -> None:
    """The client checks each reply, and each request that succeeds, against the document."""
    document = admin.get("/openapi.json").json()
    for template, item in document["paths"].items():
        for method in item.keys() - {"parameters"}:
            # A model that is unloaded on the way; it comes back at the end.
            name = "fails" if template.startswith("/v2/repository") else "several"
            if template.startswith("/v1/"):
                name = "chat"
            path = template.replace("{model}", name).replace("{version}", "1")
            body = OPENAI.get(template) or BODIES.get(template.rpartition("/")[2])
            reply = admin.request(method, path, json=body)
            assert reply.status_code == 200, f"{method} {path}: {reply.text}"
            assert (method.upper(), template, 200) in description.seen
    admin.post("/v2/repository/models/fails/load").raise_for_status()


def test_rows_flat_or_nested_are_the_same_rows(rest: httpx.Client) -> None:
    reply = rest.post("/v2/models/several/infer", json=SEVERAL)

    outputs = {each["name"]: each for each in reply.json()["outputs"]}
    assert outputs["sum"]["data"] == [2, 3, 4, 6, 7, 8]
    assert outputs["sum"]["shape"] == [2, 3]
    assert outputs["shout"]["data"] == ["A", "BC"]
    assert "id" not in reply.json()


def test_the_path_may_name_the_version(rest: httpx.Client) -> None:
    reply = rest.post("/v2/models/several/versions/1/infer", json=SEVERAL)

    assert reply.json()["model_version"] == "1"


def test_a_body_may_be_one_raw_tensor(rest: httpx.Client) -> None:
    rows = bytes(range(32))

    reply = rest.post("/v2/models/echo_uint32/infer", content=rows, headers={LENGTH: "0"})

    assert reply.headers["content-type"] == "application/octet-stream"
    length = int(reply.headers[LENGTH])
    assert json.loads(reply.content[:length])["outputs"] == [
        {"name": "y", "datatype": "UINT32", "shape": [4, 2], "parameters": {"binary_data_size": 32}}
    ]
    assert reply.content[length:] == rows


def test_json_and_binary_outputs_may_be_mixed(rest: httpx.Client) -> None:
    body = {
        **SEVERAL,
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "sum", "parameters": {"binary_data": False}}, {"name": "shout"}],
    }

    reply = rest.post("/v2/models/several/infer", json=body)

    length = int(reply.headers[LENGTH])
    total, shout = json.loads(reply.content[:length])["outputs"]
    assert total["data"] == [2, 3, 4, 6, 7, 8]
    assert shout["parameters"] == {"binary_data_size": 11}
    assert reply.content[length:] == b"\x01\0\0\0A\x02\0\0\0BC"


@pytest.mark.parametrize("given", ["order-7_a", None])
def test_replies_carry_the_requests_id_and_the_times(rest: httpx.Client, given: str | None) -> None:
    headers = {} if given is None else {"x-request-id": given}

    reply = rest.post("/v2/models/several/infer", json=SEVERAL, headers=headers)

    if given is None:
        assert re.fullmatch("[0-9a-f]{16}", reply.headers["x-request-id"])
    else:
        assert reply.headers["x-request-id"] == given
    stages = dict(each.split(";dur=") for each in reply.headers["server-timing"].split(", "))
    assert {"auth", "read", "decode", "serve", "queue", "compute", "total"} <= stages.keys()
    assert float(stages["total"]) >= float(stages["serve"]) >= float(stages["compute"])


def test_an_id_that_a_log_could_not_bear_is_replaced(rest: httpx.Client) -> None:
    reply = rest.get("/v2/models/several")
    assert reply.status_code == 200

    reply = rest.post(
        "/v2/models/several/infer", json=SEVERAL, headers={"x-request-id": "a b\tc" * 50}
    )

    assert re.fullmatch("[0-9a-f]{16}", reply.headers["x-request-id"])


def test_many_requests_share_one_connection(rest: httpx.Client) -> None:
    for _ in range(50):
        assert rest.post("/v2/models/several/infer", json=SEVERAL).status_code == 200
        assert rest.post("/v2/models/several/infer", json={}).status_code == 400


def test_large_bodies_go_through_in_both_forms(rest: httpx.Client) -> None:
    """Megabytes of JSON are decoded off the event loop; large tensors cross the exchange."""
    count = 600_000
    data = [i % 7 / 8 for i in range(count)]
    tensor = {"name": "x", "datatype": "FP32", "shape": [count]}

    with httpx.Client(base_url=rest.base_url, headers=rest.headers, timeout=30.0) as client:
        reply = client.post(
            "/v2/models/long/infer",
            json={"inputs": [{**tensor, "data": data}], "parameters": {"binary_data_output": True}},
        )
        raw = reply.content[int(reply.headers[LENGTH]) :]
        assert np.array_equal(np.frombuffer(raw, "<f4"), np.array(data, "f4"))
        reply = client.post("/v2/models/long/infer", content=raw, headers={LENGTH: "0"})

    assert reply.content.endswith(raw)


def test_other_methods_are_not_allowed(rest: httpx.Client) -> None:
    # Not described: httpx's hook would say so.
    for method, path in (("GET", "/v2/models/several/infer"), ("DELETE", "/v2/models/several")):
        with httpx.Client(base_url=rest.base_url, headers=rest.headers) as client:
            reply = client.request(method, path)
        assert reply.status_code == 405
        assert reply.json()["error"]


def test_paths_that_are_none_are_not_found(rest: httpx.Client) -> None:
    with httpx.Client(base_url=rest.base_url, headers=rest.headers) as client:
        reply = client.get("/v3/models")

    assert reply.status_code == 404
    assert set(reply.json()) == {"error"}
