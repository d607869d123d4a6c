"""A rollout in JSON: what programs and people read."""

import json
from dataclasses import replace

from gateway.rollout.status import described
from routing.rollout.begin import begin, begin_over
from tests.routing.rollout.made_routes import (
    ANALYSIS,
    CANARY,
    GOOD,
    HARM,
    LATENCY,
    MIRROR,
    NOTHING,
    PAUSE,
    UNDECIDED,
    route,
)

STEPS = (MIRROR, CANARY, ANALYSIS, {"pause": {"for": "90s"}}, {"pause": {"for": "2h"}}, PAUSE)
DOCUMENT = route(*STEPS)
STATE = replace(begin(DOCUMENT, 100.0), step=2, weight=5.0, reason="why")


def test_steps_are_told_in_words():
    assert described(STATE, DOCUMENT, NOTHING, [], 200.0)["steps"] == [
        "mirror 20 % for 2000 pairs",
        "weight 5 %",
        "analysis 15m",
        "pause 90s",
        "pause 2h",
        "pause",
    ]


def test_findings_have_their_interval_and_what_they_say():
    said = described(STATE, DOCUMENT, UNDECIDED, [], 200.0)
    (finding,) = said["findings"]
    assert finding["metric"] == "error_rate"
    assert finding["verdict"] == "inconclusive"
    assert finding["low"] < finding["estimate"] < finding["high"]
    assert finding["bound"] == 0.005
    assert "of the candidate's 600 requests" in finding["reason"]
    assert said["evidence"]["candidate"] == {"requests": 600, "errors": 3}


def test_it_tells_where_the_step_stands_and_not_only_what_changed_last():
    said = described(STATE, DOCUMENT, GOOD, [], 400.0)
    assert said["reason"] == "why"
    assert said["now"] == "300 of 900 s, and no harm seen"


def test_it_claims_no_harmlessness_while_a_metric_fails():
    assert described(STATE, DOCUMENT, HARM, [], 400.0)["now"] == ""


def test_everything_is_json_though_an_interval_has_no_end():
    document = route(*STEPS, metrics=(LATENCY,))
    said = described(replace(begin(document, 100.0), step=2), document, NOTHING, [], 200.0)
    assert said["findings"][0]["high"] is None
    json.dumps(said, allow_nan=False)


def test_what_no_document_asks_for_has_a_state_and_a_history_only():
    _, events = begin_over(None, DOCUMENT, 100.0)
    said = described(STATE, None, NOTHING, events, 200.0)
    assert (said["in_force"], said["steps"], said["findings"]) == (False, [], [])
    assert said["history"][0]["action"] == "begin"


def test_what_is_over_has_no_findings():
    said = described(replace(STATE, status="rolled_back"), DOCUMENT, None, [], 200.0)
    assert (said["evidence"], said["findings"], said["now"]) == (None, [], "")
    assert said["steps"]
