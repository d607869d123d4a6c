"""What clients are told of their request's time: stages, the backend's part, the total."""

import time

from gateway.server_timing import server_timing
from protos.timeline import Timeline


def told(timeline: Timeline) -> dict[str, float]:
    pairs = (each.split(";dur=") for each in server_timing(timeline).split(", "))
    return {name: float(milliseconds) for name, milliseconds in pairs}


def begun(seconds_ago: float) -> Timeline:
    timeline = Timeline(time.monotonic() - seconds_ago)
    timeline.mark("decode", timeline.start + 0.010)
    timeline.mark("serve", timeline.start + 0.250)
    return timeline


def test_stages_follow_each_other_and_the_total_holds_them_all():
    found = told(begun(seconds_ago=1.0))
    assert list(found) == ["decode", "serve", "total"]
    assert (found["decode"], found["serve"]) == (10.0, 240.0)
    assert found["total"] >= 1000.0


def test_the_backends_part_is_told_if_a_backend_answered():
    timeline = begun(seconds_ago=1.0)
    timeline.queue_us, timeline.compute_us, timeline.batch_rows = 1500, 2500, 4
    assert (told(timeline)["queue"], told(timeline)["compute"]) == (1.5, 2.5)


def test_so_is_that_of_a_server_behind_a_backend_which_has_no_batches():
    timeline = begun(seconds_ago=1.0)
    timeline.compute_us = 900
    assert told(timeline)["compute"] == 0.9
