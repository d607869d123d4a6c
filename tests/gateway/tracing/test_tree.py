"""The tree of a request, from what it noted on its way."""

from dataclasses import replace
from types import SimpleNamespace

from gateway.tracing.tree import EXCHANGE, spans_of
from protos.span import Link, Span, SpanKind, WallClock
from protos.timeline import Attempt, Target, Timeline
from protos.trace_context import begin, read

WALL = WallClock(1_000_000_000_000_000_000)
CLIENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TARGET = Target("stable", "fraud", "3")


def asked(*attempts: Attempt, parent: str = CLIENT, **noted) -> Timeline:
    timeline = Timeline(100.0, attempts=list(attempts))
    timeline.operation = "POST /v2/models/{model}/infer"
    timeline.parent = parent
    timeline.traceparent = begin(parent, sampled=True)
    for name, value in noted.items():
        setattr(timeline, name, value)
    return timeline


def attempt(number: int = 1, began: float = 100.001, ended: float = 100.011, **told) -> Attempt:
    made = Attempt("one", TARGET, number, began, ended=ended)
    for name, value in {"answered": ended, "parts": 1, **told}.items():
        setattr(made, name, value)
    return made


def tree(timeline: Timeline, *, code: int = 200, error: str = "", backends: bool = False):
    return spans_of(
        timeline,
        model="fraud",
        face="http",
        code=code,
        error=error,
        end=100.02,
        backends=backends,
        wall=WALL,
    )


def below(parent: Span, spans: tuple[Span, ...]) -> list[str]:
    return [span.name for span in spans if span.parent_id == parent.span_id]


def test_the_request_stands_below_its_client_and_its_attempt_below_it() -> None:
    timeline = asked(attempt(span_id=7))
    request, exchange = tree(timeline)
    assert (request.kind, exchange.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert request.parent_id == read(CLIENT).span_id
    assert request.remote
    assert (request.trace_id, request.span_id) == read(timeline.traceparent)[:2]
    assert (exchange.trace_id, exchange.span_id) == (request.trace_id, 7)
    assert exchange.parent_id == request.span_id
    assert (request.start, request.end) == (WALL.at(100.0), WALL.at(100.02))
    assert (exchange.start, exchange.end) == (WALL.at(100.001), WALL.at(100.011))


def test_without_a_client_the_request_is_the_root() -> None:
    request, *_ = tree(asked(parent=""))
    assert (request.parent_id, request.remote) == (0, False)


def test_who_was_refused_by_its_head_has_a_trace_all_the_same() -> None:
    (request,) = tree(asked(traceparent=""), code=401, error="UNAUTHENTICATED")
    assert request.trace_id == read(CLIENT).trace_id
    assert request.span_id
    assert request.attributes["error.type"] == "UNAUTHENTICATED"


def test_stages_have_spans_where_they_took_their_time() -> None:
    marks = [("auth", 100.0001), ("read", 100.006), ("decode", 100.0061), ("serve", 100.019)]
    timeline = asked(attempt(), marks=[*marks, ("encode", 100.0191)])
    timeline.waited("limits", 100.0061, 100.0081)
    timeline.waited("privacy", 100.0081, 100.0082)  # not worth one
    request, *others = tree(timeline)
    assert below(request, tuple(others)) == ["read", "limits", EXCHANGE]
    read_, limits, _ = others
    assert (read_.start, read_.end) == (WALL.at(100.0001), WALL.at(100.006))
    assert limits.kind is SpanKind.INTERNAL


def test_who_waited_for_another_request_is_linked_to_it() -> None:
    timeline = asked(cache="coalesced")
    leader = begin("", sampled=True)
    timeline.waited("coalesce", 100.001, 100.015, leader)
    request, waited = tree(timeline)
    assert waited.links == (Link(read(leader).trace_id, read(leader).span_id),)
    assert request.attributes["penstock.cache"] == "coalesced"


def test_a_second_attempt_says_which_it_is_and_why() -> None:
    lost = attempt(answered=0.0, parts=0, error="LOST")
    again = attempt(2, 100.012, 100.018, instance="two", suspect=True)
    _, first, second = tree(asked(lost, again))
    assert (first.error, first.attributes["penstock.attempt"]) == ("LOST", 1)
    assert "penstock.retry.reason" not in first.attributes
    assert second.attributes.items() >= {
        ("penstock.attempt", 2),
        ("penstock.retry.reason", "LOST"),
        ("penstock.suspect", True),
        ("penstock.instance", "two"),
    }
    assert second.error == ""


def test_a_hedged_attempt_says_so_and_one_that_was_called_back_has_not_failed() -> None:
    slow = attempt(answered=0.0, error="CANCELLED")
    _, first, second = tree(asked(slow, attempt(2, hedged=True)))
    assert first.error == ""
    assert first.attributes["error.type"] == "CANCELLED"
    assert second.attributes["penstock.hedge"] is True
    assert "penstock.retry.reason" not in second.attributes


def test_a_classifiers_attempt_says_that_nobody_asked_for_it() -> None:
    request, _, inner = tree(asked(attempt(), attempt(inner=True, parts=9)))
    assert inner.attributes["penstock.inner"] is True
    assert request.events == ()  # its parts aren't those of the reply


def test_streams_tell_when_they_began_and_ended_and_in_how_many_parts() -> None:
    request, exchange = tree(asked(attempt(answered=100.005, parts=12)))
    for span in (request, exchange):
        first, last = span.events
        assert (first.name, first.at) == ("first_part", WALL.at(100.005))
        assert (last.name, last.at, last.attributes) == (
            "last_part",
            WALL.at(100.011),
            {"penstock.parts": 12},
        )


def test_of_a_stream_under_way_only_its_beginning_is_known() -> None:
    request, exchange = tree(asked(attempt(answered=100.005, parts=3, ended=0.0)))
    assert [event.name for event in request.events] == ["first_part"]
    assert exchange.end == WALL.at(100.02)


def test_what_backends_told_makes_their_part_of_the_tree() -> None:
    told = attempt(queue_us=2_000, compute_us=6_000, batch_rows=3, padded_rows=4)
    spans = tree(asked(told), backends=True)
    _, exchange, queue, execute = spans
    assert below(exchange, spans) == ["queue", "execute"]
    # 10 ms in all, of which the ways there and back had 2.
    assert (queue.start, queue.end) == (WALL.at(100.002), WALL.at(100.004))
    assert execute.start == queue.end
    assert abs(execute.end - WALL.at(100.010)) < 1000
    assert execute.attributes == {"penstock.estimated": True}
    assert exchange.attributes["penstock.batch.padded_rows"] == 4


def test_only_what_is_our_fault_fails_the_servers_span() -> None:
    assert tree(asked(), code=404, error="NOT_FOUND")[0].error == ""
    assert tree(asked(), code=499, error="CANCELLED")[0].error == ""
    assert tree(asked(), code=503, error="UNAVAILABLE")[0].error == "UNAVAILABLE"


def test_paths_are_templates_and_methods_are_split() -> None:
    (request,) = tree(asked())
    assert request.name == "POST /v2/models/{model}/infer"
    assert request.attributes.items() >= {
        ("http.request.method", "POST"),
        ("http.route", "/v2/models/{model}/infer"),
        ("url.path", "/v2/models/{model}/infer"),
        ("http.response.status_code", 200),
    }


def test_generations_speak_opentelemetrys_language() -> None:
    timeline = asked(target=TARGET, operation="POST /v1/chat/completions")
    timeline.used = replace(timeline.used, prompt_tokens=5, completion_tokens=7)
    (request,) = tree(timeline)
    assert request.attributes.items() >= {
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "fraud"),
        ("gen_ai.usage.input_tokens", 5),
        ("gen_ai.usage.output_tokens", 7),
    }


def test_what_failed_in_the_queue_waited_there_and_what_failed_later_was_executed() -> None:
    late = attempt(answered=0.0, parts=0, error="DEADLINE", queue_us=9000)
    _, exchange, *told = tree(asked(late), code=504, error="DEADLINE", backends=True)
    assert [span.name for span in told] == ["queue"]
    assert told[0].parent_id == exchange.span_id
    failed = attempt(answered=0.0, parts=0, error="MODEL_FAILED", queue_us=10, compute_us=20)
    _, _, *told = tree(asked(failed), code=500, error="MODEL_FAILED", backends=True)
    assert [span.name for span in told] == ["queue", "execute"]


def test_a_clients_own_id_is_in_no_span_where_people_are_protected() -> None:
    protected = SimpleNamespace(spec=SimpleNamespace(privacy=object()))
    request, *_ = tree(asked(request_id="+4930123456"))
    assert request.attributes["penstock.request_id"] == "+4930123456"
    request, *_ = tree(asked(request_id="+4930123456", snapshot=protected))
    assert "penstock.request_id" not in request.attributes
