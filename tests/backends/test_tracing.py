"""A backend's spans of one call, however it ends."""

from collections.abc import Sequence

import pytest

from backends.tracing import MOST_HELD, Traced, Tracing
from protos.errors import Kind, PenstockError
from protos.exchange_calls import Call
from protos.exchange_parts import encode_failure, encode_part
from protos.span import Link, Span, SpanKind, WallClock
from protos.trace_context import TraceContext, read

WALL = WallClock(10**18)
SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Kept(list[Span]):
    put = list.extend


def call(traceparent: str = SAMPLED, **more: object) -> Call:
    made = {"shadow": False, "suspect": False, **more}
    return Call(
        1,
        "m",
        "3",
        "",
        {},
        {},
        (),
        {},
        "t",
        traceparent,
        0,
        streaming=False,
        remaining_us=0,
        **made,
    )


def begun(spans: Kept, **more: object) -> tuple[Traced, Tracing]:
    tracing = Tracing(spans, "cuda:0", lambda: WALL)
    traced = tracing.begin(call(**more), 100.0)
    assert traced is not None
    return traced, tracing


def names(spans: Sequence[Span]) -> list[str]:
    return [span.name for span in spans]


def test_an_unsampled_call_has_no_spans() -> None:
    tracing = Tracing(Kept())
    assert tracing.begin(call(SAMPLED[:-1] + "0"), 0.0) is None
    assert tracing.begin(call(""), 0.0) is None


def test_a_call_waits_and_is_executed_below_the_gateways_attempt() -> None:
    spans = Kept()
    traced, _ = begun(spans, shadow=True)
    part = encode_part(1, (), "3", queue_us=2_000, compute_us=5_000, batch_rows=3, padded_rows=4)
    traced.part(part, True, 100.01)
    server, queue, execute = spans
    assert (server.kind, server.remote) == (SpanKind.SERVER, True)
    assert server.parent_id == read(SAMPLED).span_id
    assert server.attributes["penstock.shadow"] is True
    assert [queue.parent_id, execute.parent_id] == [server.span_id] * 2
    assert (queue.start, queue.end) == (WALL.at(100.0), WALL.at(100.002))
    assert (execute.start, execute.end) == (WALL.at(100.002), WALL.at(100.007))
    assert execute.attributes == {
        "penstock.device": "cuda:0",
        "penstock.batch.rows": 3,
        "penstock.batch.padded_rows": 4,
    }


def test_what_works_on_the_call_stands_below_it() -> None:
    traced, _ = begun(Kept())
    on = read(traced.call.traceparent)
    assert on == (read(SAMPLED).trace_id, traced.span_id, True)


def test_a_stream_is_executed_until_its_last_part() -> None:
    spans = Kept()
    traced, _ = begun(spans)
    for at in (100.1, 100.2):
        traced.part(encode_part(1, (), "3", final=False), False, at)
    assert spans == []
    traced.part(encode_part(1, (), "3"), True, 100.3)
    execute = spans[-1]
    assert execute.end == WALL.at(100.3)
    first, last = execute.events
    assert (first.name, first.at) == ("first_part", WALL.at(100.1))
    assert (last.name, last.attributes) == ("last_part", {"penstock.parts": 3})


def test_its_execution_is_linked_to_its_batch() -> None:
    spans = Kept()
    traced, tracing = begun(spans)
    tracing.hold(TraceContext(9, 8, True), [read(traced.call.traceparent)])
    traced.part(encode_part(1, (), "3"), True, 100.1)
    assert spans[-1].links == (Link(9, 8),)
    assert tracing.batches == {}


@pytest.mark.parametrize("executed", [True, False])
def test_a_failure_is_told_where_it_was(executed: bool) -> None:
    spans = Kept()
    traced, _ = begun(spans)
    error = PenstockError(Kind.MODEL_FAILED, "a secret")
    traced.part(encode_failure(1, error, executed=executed), True, 100.1)
    failed = [span.name for span in spans if span.error]
    assert failed == ["penstock.v1.Backend/Exchange", *(["execute"] if executed else [])]
    assert names(spans)[1:] == ["queue", *(["execute"] if executed else [])]
    assert "secret" not in str(spans)


def test_a_refused_call_says_why() -> None:
    spans = Kept()
    traced, _ = begun(spans)
    traced.refuse("OVERLOADED", 100.1)
    assert spans[0].error == "OVERLOADED"
    assert spans[0].attributes["error.type"] == "OVERLOADED"


def test_who_is_not_waited_for_any_more_has_not_failed() -> None:
    spans = Kept()
    traced, _ = begun(spans)
    traced.cancel(100.1)
    (server,) = spans
    assert (server.error, server.attributes["error.type"]) == ("", "CANCELLED")


def test_batches_of_cancelled_calls_are_forgotten() -> None:
    tracing = Tracing(Kept())
    for number in range(MOST_HELD + 10):
        tracing.hold(TraceContext(1, 2, True), [TraceContext(3, number + 1, True)])
    assert len(tracing.batches) <= MOST_HELD
