"""What a route may say of limits."""

import json

import pytest
from pydantic import ValidationError

from protos.route.policies import Limit


def limit(**written: object) -> Limit:
    return Limit.model_validate_json(json.dumps({"per": "tenant", **written}))


@pytest.mark.parametrize(
    "written",
    [
        {"requests": "10/s", "burst": 3},
        {"tokens": "1k/1m", "reserve": 100},
        {"rows": "1/s", "tenants": ["free-*", "acme"]},
        {"concurrency": 1, "onStateLost": "refuse"},
        {"budget": {"every": "day", "rows": 5}, "mode": "observe"},
        {"budget": {"every": "month", "tokens": 5}, "reserve": 1},
        {"budget": {"every": "month", "deviceSeconds": 5}},
    ],
)
def test_a_limit_counts_one_thing(written: dict[str, object]) -> None:
    dumped = limit(**written).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert dumped.keys() == {"per", *written}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "should have one of requests, tokens, rows, concurrency and budget"),
        ({"requests": "1/s", "rows": "1/s"}, "should have one of"),
        ({"concurrency": 1, "budget": {"every": "day", "rows": 5}}, "should have one of"),
        (
            {"budget": {"every": "day"}},
            "should have one of requests, rows, tokens and deviceSecond",
        ),
        ({"budget": {"every": "day", "rows": 1, "tokens": 1}}, "should have one of"),
        ({"budget": {"every": "week", "rows": 1}}, "'day' or 'month'"),
        ({"concurrency": 1, "burst": 2}, "burst goes with requests, tokens or rows"),
        ({"budget": {"every": "day", "rows": 5}, "burst": 2}, "burst goes with"),
        ({"requests": "1/s", "reserve": 2}, "reserve goes with tokens"),
        ({"budget": {"every": "day", "rows": 5}, "reserve": 2}, "reserve goes with tokens"),
        ({"concurrency": 0}, "greater than or equal to 1"),
        ({"requests": "1/s", "tenants": []}, "at least 1 item"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    written: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        limit(**written)
