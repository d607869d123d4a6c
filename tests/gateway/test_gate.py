"""A request's deadline and whose that is, its trace, and what is counted of it."""

from math import inf
from types import SimpleNamespace

import pytest

from gateway.arms import ArmBook
from gateway.gate import Gate
from gateway.metrics import Metrics
from gateway.usage.book import UsageBook
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.timeline import Timeline, Used
from protos.values import Tensors
from tests.routing.routed import route

START, DEFAULT = 100.0, 30.0
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def gate_with(by, **more):
    """A gate whose requests all take the route `by`."""
    given = {
        "service": None,
        "table": None,
        "routes": SimpleNamespace(match=lambda *_: by),
        "authenticate": None,
        "metrics": None,
        "arms": ArmBook(),
        "clock": lambda: START,
        "total": DEFAULT,
        "audit": None,
        "usage": None,
    }
    return Gate(**{**given, **more})


def deadlines(timeouts, *, streaming=False, timeout_us=0, time_left=None, **parameters):
    """Seconds that the first part and the whole may take, and whether the client said so."""
    by = route(timeouts=timeouts)
    gate = gate_with(by)
    timeline = Timeline(START)
    context = gate.request(
        Principal("s", "t", frozenset()),
        timeline,
        model="m",
        version="",
        request_id="",
        payload=Tensors(()),
        parameters=parameters | ({"timeout": timeout_us} if timeout_us else {}),
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


def test_requests_go_on_with_a_trace_context_of_their_own() -> None:
    timeline = Timeline(START)
    timeline.parent = TRACE
    asked = gate_with(route()).request(
        Principal("s", "acme", frozenset()),
        timeline,
        model="m",
        version="",
        request_id="",
        payload=Tensors(()),
        parameters={},
    )
    own = asked.context.traceparent
    assert timeline.traceparent == own
    assert own[:35] == TRACE[:35]  # the client's trace
    assert own != TRACE  # but not the client's span
    assert own[-2:] == "01"  # which decided


@pytest.mark.parametrize(
    ("kind", "passed", "by_client"),
    [
        (Kind.DEADLINE, {}, False),
        (Kind.DEADLINE, {"first_by_client": True}, True),
        (Kind.DEADLINE, {"first_by_client": True, "answered": START + 1}, False),
        (Kind.DEADLINE, {"whole_by_client": True, "answered": START + 1}, True),
        (Kind.MODEL_FAILED, {"whole_by_client": True, "answered": START + 1}, False),
        (Kind.NOT_CACHED, {}, True),
    ],
)
def test_a_deadline_that_the_client_chose_is_its_own_doing(kind, passed, by_client):
    metrics = Metrics()
    timeline = Timeline(START, **passed)
    gate_with(
        None,
        table=SimpleNamespace(versions=lambda model: ["1"], settled=True),
        metrics=metrics,
        audit=SimpleNamespace(request=lambda *_: None),
    ).observe("m", "http", timeline, PenstockError(kind, ""))
    assert timeline.by_client is by_client
    (series,) = metrics.requests.families()[0].series
    assert series.labels[-1] == ("client" if by_client else "server")


def counted(error=None, **passed) -> list[tuple[str, str, int, int]]:
    """The usage of a request that passed so: tenant, model, requests, rows."""
    book = UsageBook(lambda: 0.0)
    gate = gate_with(
        None,
        table=SimpleNamespace(versions=lambda model: ["1"], settled=True),
        metrics=Metrics(),
        audit=SimpleNamespace(request=lambda *_: None),
        usage=book,
    )
    who = Principal("s", "acme", frozenset())
    given = {"route": "r", "arm": "stable", "principal": who, "rows": 2, **passed}
    gate.observe("m", "http", Timeline(START, **given), error)
    return [(each.tenant, each.model, each.requests, each.rows) for _, each in book.changed(9)]


ONCE = [("acme", "m", 1, 2)]
MEASURED = Used(prompt_tokens=3, completion_tokens=4)


@pytest.mark.parametrize(
    "kind", [None, Kind.DEADLINE, Kind.CANCELLED, Kind.LOST, Kind.FORBIDDEN, Kind.INTERNAL]
)
def test_usage_is_what_a_backend_may_have_executed(kind):
    error = None if kind is None else PenstockError(kind, "")
    assert counted(error, began=START) == ONCE


@pytest.mark.parametrize("cache", ["hit", "coalesced"])
def test_what_was_answered_without_a_backend_is_a_request_too(cache):
    assert counted(cache=cache) == ONCE
    assert counted(PenstockError(Kind.DEADLINE, ""), cache=cache) == []


@pytest.mark.parametrize("cache", ["", "miss", "bypass", "hit", "coalesced"])
@pytest.mark.parametrize("kind", [Kind.FORBIDDEN, Kind.UNAVAILABLE, Kind.CANCELLED])
def test_what_was_measured_is_usage_whatever_became_of_the_answer(cache, kind):
    error = PenstockError(kind, "")
    assert counted(error, cache=cache, used=MEASURED) == ONCE


@pytest.mark.parametrize(
    ("kind", "passed"),
    [
        (Kind.OVERLOADED, {"began": START}),
        (Kind.NOT_CACHED, {"cache": "miss"}),
        (Kind.DEADLINE, {}),  # while it waited for its turn
        (Kind.RATE_LIMITED, {"arm": ""}),
        (Kind.NOT_FOUND, {"arm": "", "route": ""}),
    ],
)
def test_what_never_ran_is_none(kind, passed):
    assert counted(PenstockError(kind, ""), **passed) == []


@pytest.mark.parametrize("given", ["4096", True, -1, 4.5, float("inf")])
def test_a_maximum_of_tokens_that_nobody_can_count_is_refused(given):
    with pytest.raises(PenstockError, match=r"parameters\.max_tokens: must be a whole number"):
        deadlines({}, max_tokens=given)


def test_a_maximum_of_tokens_may_be_written_as_a_float():
    assert deadlines({}, max_tokens=4096.0)


@pytest.mark.parametrize("scopes", [(), ("infer:other",)], ids=str)
def test_a_model_that_isnt_the_callers_is_refused_and_audited_as_such(scopes):
    by = route()
    gate = gate_with(by)
    timeline = Timeline(START)
    with pytest.raises(PenstockError) as caught:
        gate.signature(Principal("s", "t", frozenset(scopes)), timeline, "m", "", ())
    assert caught.value.kind is Kind.NOT_FOUND
    assert (timeline.refused, timeline.snapshot) == ("authorise", by)
