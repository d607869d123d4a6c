"""Triton's generate endpoints: a flat object in, one out or one for each event, as they appear."""

import itertools
import json
import time

import httpx
import pytest

from protos.sse import Parser
from tests.conformance.described import Description

COUNT = "/v2/models/count/generate_stream"
ECHO = "/v2/models/echo_fp32/generate"


def test_generate_answers_with_one_flat_object(rest: httpx.Client) -> None:
    body = {"left": [10, 20, 30], "right": [[1, 2, 3]], "text": "abc", "id": "7"}

    reply = rest.post("/v2/models/several/generate", json=body)

    assert reply.json() == {
        "model_name": "several",
        "model_version": "1",
        "id": "7",
        "sum": [11, 22, 33],
        "difference": [9, 18, 27],
        "shout": "ABC",
    }


def test_generate_may_name_the_version(rest: httpx.Client) -> None:
    reply = rest.post("/v2/models/echo_fp32/versions/1/generate", json={"x": [0.5, 2]})

    assert reply.json()["y"] == [0.5, 2.0]


def test_generate_is_not_for_models_that_answer_in_parts(rest: httpx.Client) -> None:
    reply = rest.post("/v2/models/count/generate", json={"n": 2, "pause": 0})

    assert reply.status_code == 400
    assert "streaming" in reply.json()["error"]


def test_what_json_cannot_carry_is_said(rest: httpx.Client) -> None:
    reply = rest.post("/v2/models/echo_fp16/generate", json={"x": [1, 2]})

    assert reply.status_code == 400
    assert '"x": FP16 has no JSON form' in reply.json()["error"]


@pytest.mark.parametrize("place", ["top", "parameters"])
def test_events_are_the_parts_and_parameters_reach_the_model(
    rest: httpx.Client, description: Description, place: str
) -> None:
    parameters = {"start": 40} if place == "top" else {"parameters": {"start": 40}}

    reply = rest.post(COUNT, json={"n": 3, "pause": 0, "id": "7", **parameters})

    assert reply.headers["content-type"].startswith("text/event-stream")
    events = [event.data for event in Parser().feed(reply.content)]
    for event in events:
        description.check_event(event)
    common = {"model_name": "count", "model_version": "1", "id": "7"}
    assert [json.loads(each) for each in events] == [
        {**common, "part": part} for part in (40, 41, 42)
    ]


def test_a_unary_model_streams_its_one_part(rest: httpx.Client) -> None:
    reply = rest.post("/v2/models/echo_fp32/generate_stream", json={"x": [1, 2]})

    (event,) = Parser().feed(reply.content)
    assert json.loads(event.data)["y"] == [1.0, 2.0]


def test_parts_arrive_one_by_one(rest: httpx.Client) -> None:
    pause, parts = 0.1, 5
    arrivals = []
    parser = Parser()

    begun = time.monotonic()
    with rest.stream("POST", COUNT, json={"n": parts, "pause": pause}) as reply:
        for chunk in reply.iter_raw():
            arrivals += [time.monotonic()] * len(parser.feed(chunk))

    assert len(arrivals) == parts
    assert arrivals[0] - begun < pause
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    # Parts that were held back would come together.
    assert all(pause / 2 < gap < 2 * pause for gap in gaps), gaps


def test_streams_of_one_device_run_side_by_side(rest: httpx.Client) -> None:
    """The second stream begins and ends while the first one goes on."""
    pause, parts = 0.05, 12
    with rest.stream("POST", COUNT, json={"n": parts, "pause": pause}) as first:
        chunks = first.iter_raw()
        next(chunks)

        begun = time.monotonic()
        assert rest.post(COUNT, json={"n": 2, "pause": 0}).status_code == 200
        assert time.monotonic() - begun < pause * parts / 2

        assert b"".join(chunks).count(b"data:") == parts - 1


def test_an_error_after_the_head_is_the_last_event(
    rest: httpx.Client, description: Description
) -> None:
    # The parameter makes the model fail with its second part.
    reply = rest.post(COUNT, json={"n": 3, "pause": 0, "start": 2**31 - 1})

    assert reply.status_code == 200
    first, last = [event.data for event in Parser().feed(reply.content)]
    description.check_event(last)
    assert json.loads(first)["part"] == 2**31 - 1
    assert set(json.loads(last)) == {"error"}
