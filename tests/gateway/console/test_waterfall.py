"""A waterfall lists children below their parents, places them in time and hides nothing."""

import re
from typing import Any

from gateway.console.waterfall import waterfall


def span(name: str, start: float, length: float, parent: str = "", **more: Any) -> dict[str, Any]:
    made = {
        "id": name,
        "parent": parent,
        "name": name,
        "kind": "INTERNAL",
        "start_us": start,
        "duration_us": length,
        "error": "",
        "attributes": {},
        "events": [],
    }
    return made | more


REQUEST = span("request", 0, 1000, kind="SERVER")


def names(page: str) -> list[str]:
    return re.findall(r'class="name depth-(\d)">([^<]*)', page)  # type: ignore[return-value]


def test_children_stand_below_their_parents_in_the_order_in_which_they_began():
    spans = [
        REQUEST,
        span("attempt 2", 500, 400, "request"),
        span("queue", 150, 10, "attempt 1"),
        span("attempt 1", 100, 300, "request"),
    ]
    assert names(waterfall(spans)) == [
        *(("0", "request"), ("1", "attempt 1"), ("2", "queue"), ("1", "attempt 2")),
    ]


def test_a_bar_lies_where_its_span_lay():
    page = waterfall([REQUEST, span("half", 500, 250, "request")])
    places = re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"', page)
    (left, width), (half, quarter) = ([float(each) for each in place] for place in places)
    assert left == 0.0
    assert abs(half / width - 0.5) < 0.001
    assert abs(quarter / width - 0.25) < 0.001


def test_a_span_of_no_time_can_still_be_seen():
    page = waterfall([span("request", 0, 0, kind="SERVER")])
    assert 'width="0.00%"' not in page


def test_each_span_tells_its_attributes_and_events():
    told = span(
        *("request", 0, 2000),
        attributes={"penstock.instance": "gpu-7", "penstock.hedge": True},
        events=[{"name": "first_part", "at_us": 500.0}],
    )
    page = waterfall([told])
    assert "<dt>penstock.instance</dt><dd>gpu-7</dd>" in page
    assert "<dt>penstock.hedge</dt><dd>yes</dd>" in page
    assert "<dt>first_part</dt><dd>500 µs</dd>" in page


def test_a_failure_is_a_word_and_not_only_a_colour():
    page = waterfall([span("request", 0, 10, error="LOST")])
    assert "LOST" in page
    assert 'class="failed"' in page


def test_names_are_text():
    page = waterfall([span("<script>", 0, 10, attributes={"a": "<img src=x>"})])
    assert "<script" not in page
    assert "<img" not in page


def test_what_has_lost_its_parent_stands_below_the_request():
    page = waterfall([REQUEST, span("lost", 1, 1, "nobody")])
    assert names(page) == [("0", "request"), ("1", "lost")]
