"""The JSON report: its shape is pinned, whatever it holds can be read back."""

import json
from dataclasses import replace
from math import inf
from typing import Any

from gateway.reports.encode import SCHEMA, encode
from tests.gateway.reports.made_reports import SCRIPT, hostile, report

KEYS = {
    "route",
    "mirror",
    "candidate",
    "primaries",
    "comparisons",
    "since",
    "until",
    "verdict",
    "samples",
    "disagreement",
    "segments",
    "errors",
    "latency",
    "service_time",
    "first_part",
    "sizes",
    "scores",
    "measures",
    "timeline",
    "worst",
}
INTERVAL = {"estimate", "low", "high", "level"}


def decoded(decision: str) -> dict[str, Any]:
    value = json.loads(encode([report(decision)]))
    (only,) = value["reports"]
    assert isinstance(only, dict)
    return only


def test_the_shape_is_the_documented_one():
    value = decoded("dont")
    assert json.loads(encode([]))["schema"] == SCHEMA == "penstock/shadow-report/v1"
    assert set(value) == KEYS
    assert set(value["verdict"]) == {"decision", "reason", "checks", "criteria"}
    assert set(value["verdict"]["checks"][0]) == {
        "name",
        "state",
        "value",
        "bound",
        "interval",
        "sentence",
    }
    assert set(value["disagreement"]["above_noise"]) == INTERVAL
    assert set(value["segments"][0]["segments"][0]) == {
        "value",
        "sampled",
        "compared",
        "differ",
        "above_noise",
        "corrected",
        "flagged",
    }
    assert set(value["service_time"]) == {
        "sample",
        "primary",
        "candidate",
        "median_delta",
        "ratios",
    }


def test_the_figures_are_those_of_the_report():
    value, expected = decoded("dont"), report("dont")
    assert value["verdict"]["decision"] == "dont"
    assert value["samples"]["compared"] == expected.samples.compared
    assert value["disagreement"]["raw"]["estimate"] == expected.disagreement.raw.estimate
    histogram = value["latency"]["primary"]["histogram"]
    assert sum(each["count"] for each in histogram) == expected.samples.compared


def test_what_is_not_finite_is_null_and_not_a_word_that_json_lacks():
    made = report("dont")
    worst = replace(made.worst[0], outcome=replace(made.worst[0].outcome, distance=inf))
    value = json.loads(encode([replace(made, worst=(worst,))]), parse_constant=str)
    assert value["reports"][0]["worst"][0]["distance"] is None


def test_texts_are_as_they_were_recorded():
    value = json.loads(encode([hostile()]))["reports"][0]
    assert value["mirror"] == SCRIPT
    assert "\ud800" in {each["tenant"] for each in value["worst"]}
