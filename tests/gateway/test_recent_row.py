"""A row tells where a request's time went and who answered, and nothing that anybody sent."""

import orjson

from gateway.recent import Ended
from gateway.recent_row import row_of
from protos.principal import Principal
from protos.timeline import Target, Timeline

SECRET = "mallory@example.org"


def ended(code: int = 200, error: str = "") -> Ended:
    timeline = Timeline(100.0)
    timeline.request_id = "req-1"
    timeline.principal = Principal(SECRET, "risk", frozenset(), claims={"mail": SECRET})
    timeline.route, timeline.arm = "fraud", "canary"
    timeline.target = Target("canary", "fraud", "4")
    timeline.queue_us, timeline.compute_us, timeline.batch_rows = 2000, 5000, 8
    timeline.instances = ["a", "b", "a"]
    timeline.mark("read", 100.5)
    return Ended("fraud", "http", code, error, timeline, 101.0)


def test_it_says_what_became_of_the_request():
    row = row_of(ended(503, "UNAVAILABLE"))
    assert (row["code"], row["error"], row["seconds"]) == (503, "UNAVAILABLE", 1.0)
    assert (row["request_id"], row["tenant"]) == ("req-1", "risk")
    assert (row["route"], row["arm"], row["model"], row["version"]) == (
        *("fraud", "canary", "fraud", "4"),
    )
    assert (row["attempts"], row["instances"]) == (3, ["a", "b"])
    assert (row["queue_seconds"], row["compute_seconds"], row["batch_rows"]) == (0.002, 0.005, 8)


def test_its_spans_are_one_tree_in_microseconds():
    spans = row_of(ended())["spans"]
    server, stage = spans
    assert (server["kind"], server["start_us"], server["duration_us"]) == ("SERVER", 0.0, 1e6)
    assert (stage["name"], stage["parent"], stage["duration_us"]) == ("read", server["id"], 5e5)


def test_nothing_of_the_caller_stands_in_it_but_the_tenant():
    assert SECRET.encode() not in orjson.dumps(row_of(ended(500, "INTERNAL")))
