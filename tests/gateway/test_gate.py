"""A request's deadline and whose that is, its trace, and what is counted of it."""

from math import inf
from types import SimpleNamespace

import pytest

from gateway.arms import ArmBook
from gateway.gate import Gate, trace_of
from gateway.metrics import Metrics
from gateway.usage.book import UsageBook
from protos.errors import Kind, PenstockError
from protos.values import Principal, Tensors, Timeline
from tests.routing.routed import route

START, DEFAULT = 100.0, 30.0
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def deadlines(timeouts, *, streaming=False, timeout_us=0, time_left=None):
    """Seconds that the first part and the whole may take, and whether the client said so."""
    by = route(timeouts=timeouts)
    gate = Gate(
        service=None,
        table=None,
        routes=SimpleNamespace(match=lambda *_: by),
        authenticate=None,
        metrics=None,
        arms=ArmBook(),
        clock=lambda: START,
        total=DEFAULT,
        audit=None,
        usage=None,
    )
    timeline = Timeline(START)
    context = gate.request(
        Principal("s", "t", frozenset()),
        timeline,
        model="m",
        version="",
        request_id="",
        payload=Tensors(()),
        parameters={"timeout": timeout_us} if timeout_us else {},
        streaming=streaming,
        time_left=time_left,
    ).context
    times = (context.first_deadline - START, context.deadline - START)
    return times, (timeline.first_by_client, timeline.whole_by_client)


@pytest.mark.parametrize(
    ("how", "whole", "by_client"),
    [
        ({}, 5.0, False),
        ({"timeout_us": 2_000_000}, 2.0, True),
        ({"time_left": 3.0}, 3.0, True),
        ({"timeout_us": 2_000_000, "time_left": 3.0}, 2.0, True),
        ({"timeout_us": 9_000_000, "time_left": 8.0}, 5.0, False),
        ({"time_left": 5.0}, 5.0, False),
    ],
    ids=str,
)
def test_the_nearest_deadline_counts_and_it_is_known_whose_it_is(how, whole, by_client):
    assert deadlines({"total": "5s"}, **how) == ((inf, whole), (by_client, by_client))


def test_without_a_routes_own_the_default_counts():
    assert deadlines({}) == ((inf, DEFAULT), (False, False))
    assert deadlines({}, time_left=1.0) == ((inf, 1.0), (True, True))


STREAM = {"total": "20s", "firstToken": "1s"}


@pytest.mark.parametrize(
    ("time_left", "times", "by_client"),
    [
        (None, (1.0, 20.0), (False, False)),
        (10.0, (1.0, 10.0), (False, True)),
        (0.5, (1.0, 0.5), (True, True)),
    ],
)
def test_a_stream_has_a_deadline_for_its_first_part_which_is_the_routes(
    time_left, times, by_client
):
    assert deadlines(STREAM, streaming=True, time_left=time_left) == (times, by_client)


def test_without_a_stream_there_is_no_first_part():
    assert deadlines(STREAM) == ((inf, 20.0), (False, False))


def test_a_trace_context_passes_as_it_is() -> None:
    assert trace_of(TRACE) == TRACE


@pytest.mark.parametrize(
    "given",
    [
        "",
        TRACE.upper(),
        TRACE + "-more",
        "00-bob@example.com" + "." * 16 + "-b7ad6b7169203331-01",
        TRACE.replace("0af7", "٠af7"),
    ],
)
def test_anything_else_is_dropped(given: str) -> None:
    assert trace_of(given) == ""


@pytest.mark.parametrize(
    ("arm", "error", "counted"),
    [
        ("stable", None, 1),
        ("stable", PenstockError(Kind.DEADLINE, ""), 1),
        ("stable", PenstockError(Kind.CANCELLED, ""), 1),
        ("stable", RuntimeError(), 1),
        ("stable", PenstockError(Kind.OVERLOADED, ""), 0),
        ("", PenstockError(Kind.RATE_LIMITED, ""), 0),
        ("", PenstockError(Kind.NOT_FOUND, ""), 0),
    ],
)
def test_usage_is_what_a_backend_may_have_executed(arm, error, counted):
    book = UsageBook(lambda: 0.0)
    gate = Gate(
        service=None,
        table=SimpleNamespace(versions=lambda model: ["1"], settled=True),
        routes=None,
        authenticate=None,
        metrics=Metrics(),
        arms=ArmBook(),
        clock=lambda: START,
        total=DEFAULT,
        audit=SimpleNamespace(request=lambda *_: None),
        usage=book,
    )
    who = Principal("s", "acme", frozenset())
    gate.observe("m", "http", Timeline(START, route="r", arm=arm, principal=who, rows=2), error)
    assert [(each.tenant, each.model, each.rows) for _, each in book.changed(9)] == (
        [("acme", "m", 2)] * counted
    )
