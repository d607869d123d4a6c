"""What a record says of a request, who needs one, and which strangers are told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.api_keys import ISSUER
from policies.audit import Audit, Strangers, decision, entry, record
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.timeline import Target, Timeline
from tests.routing.routed import OK, route, routed

WHO = Principal("ann", "acme", frozenset(), "corp", {"key": "not a key's id"})


def timeline(by=None, **more) -> Timeline:
    made = Timeline(100.0, principal=WHO, snapshot=by)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def told(timeline, error="", default="all"):
    made = entry(
        timeline,
        at=1_800_000_000.5,
        model="fraud",
        face="http",
        code=200,
        error=error,
        now=100.25,
        default=default,
    )
    return None if made is None else record(made)


def test_a_record_names_who_what_when_and_what_was_decided():
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    of = timeline(
        route("fraud"),
        route="fraud",
        arm="canary",
        target=Target("canary", "fraud-gbm", "4"),
        request_id="r-1",
        traceparent=f"00-{trace}-00f067aa0ba902b7-01",
        rows=3,
        cache="miss",
        found={"EMAIL": 2},
        screened={"OATH": 1},
    )
    assert told(of) == {
        "at": 1_800_000_000.5,
        "what": "request",
        "tenant": "acme",
        "subject": "ann",
        "issuer": "corp",
        "model": "fraud",
        "face": "http",
        "decision": "allowed",
        "status": 200,
        "route": "fraud",
        "arm": "canary",
        "served": "fraud-gbm",
        "version": "4",
        "policies": "r1",
        "rows": 3,
        "found": {"EMAIL": 2},
        "screened": {"OATH": 1},
        "cache": "miss",
        "request": "r-1",
        "trace": trace,
        "seconds": 0.25,
    }


def test_a_key_is_named_by_its_id_and_only_a_key():
    by_key = Principal("batch", "acme", frozenset(), ISSUER, {"key": "k7"})
    assert told(timeline(principal=by_key))["key"] == "k7"
    assert "key" not in told(timeline())


def test_who_was_not_authenticated_makes_no_request():
    assert told(timeline(principal=None)) is None


@pytest.mark.parametrize(
    ("error", "refused", "decided"),
    [
        ("", "", "allowed"),
        ("RATE_LIMITED", "", "refused"),
        ("FORBIDDEN", "", "refused"),
        ("NOT_FOUND", "authorise", "refused"),
        ("NOT_FOUND", "", "failed"),
        ("UNAVAILABLE", "output", "refused"),
        ("INVALID", "", "failed"),
        ("CANCELLED", "", "failed"),
        ("INTERNAL", "", "failed"),
    ],
)
def test_a_refusal_is_told_from_a_failure(error: str, refused: str, decided: str):
    assert decision(error, refused) == decided


@pytest.mark.parametrize("default", ["all", "refused", "none"])
@pytest.mark.parametrize("asked", ["all", "refused", "none", None])
def test_a_route_says_which_requests_are_recorded_or_the_gateway(asked, default):
    by = route() if asked is None else route(audit={"requests": asked})
    kept = [
        error
        for error in ("", "INVALID", "RATE_LIMITED")
        if told(timeline(by), error, default) is not None
    ]
    holds = asked or default
    assert kept == {"all": ["", "INVALID", "RATE_LIMITED"], "refused": ["RATE_LIMITED"]}.get(
        holds, []
    )


def test_a_request_without_a_route_is_the_gateways():
    assert told(timeline(), "NOT_FOUND", "all") is not None
    assert told(timeline(), "NOT_FOUND", "none") is None


async def passes(audit: Audit, request):
    async def service(_):
        return OK

    return await audit(request, service)


async def test_the_filter_notes_the_rows():
    request = routed(route())
    assert await passes(Audit(refuse=False, writable=lambda: False), request) is OK
    assert request.context.timeline.rows == 1


async def test_where_records_are_needed_nothing_passes_without():
    audit = Audit(refuse=True, writable=lambda: False)
    request = routed(route())
    with pytest.raises(PenstockError, match="can't be written") as refused:
        await passes(audit, request)
    assert refused.value.kind is Kind.UNAVAILABLE
    assert (request.context.timeline.refused, audit.refused) == ("audit", 1)
    assert await passes(Audit(refuse=True, writable=lambda: True), request) is OK


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.lists(st.floats(0, 10), max_size=60))
def test_every_stranger_is_told_or_counted_and_few_are_told(per_second: int, waits: list[float]):
    strangers, now, told = Strangers(per_second), 0.0, []
    for wait in waits:
        now += wait / 20
        if strangers.tell(now):
            told.append(int(now))
    assert all(told.count(second) <= per_second for second in told)
    assert len(told) + strangers.left_out() == len(waits)
    assert strangers.left_out() == 0
