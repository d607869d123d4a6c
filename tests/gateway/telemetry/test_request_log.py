"""Which requests are told in the log, and that no line says what nobody may know."""

import json
import logging
import threading
from datetime import datetime
from types import SimpleNamespace

import pytest

from gateway.telemetry.log_format import JsonFormatter
from gateway.telemetry.request_log import MOST, WAITING, RequestLog
from protos.log_writer import LogWriter
from protos.principal import Principal
from protos.timeline import Target, Timeline, Used

NEVER = 1.0
ALWAYS = 0.0
TRACE = "0af7651916cd43dd8448eb211c80319c"


def passed(**met) -> Timeline:
    told = {
        "principal": Principal("alice@example.com", "acme", frozenset()),
        "request_id": "r-1",
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-00",
        "route": "fraud",
        "arm": "stable",
        "target": Target("stable", "m", "3"),
        "instances": ["one", "two"],
        "queue_us": 2000,
        "compute_us": 5000,
    }
    return Timeline(1.0, **{**told, **met})


def log(writer, *, format_="json", chance=NEVER, tenants=(), wall=lambda: 1e9) -> RequestLog:
    return RequestLog(
        writer,
        format_,
        sample=0.01,
        slow=1.0,
        tenants=tenants,
        chance=lambda: chance,
        wall=wall,
    )


def lines(*, code=200, error="", timeline=None, seconds=0.01, **settings) -> list[str]:
    """What is written of one request."""
    written: list[bytes] = []
    writer = LogWriter(written.append)
    made = log(writer, **settings)
    timeline = passed() if timeline is None else timeline
    made("m", "http", code, error, timeline, timeline.start + seconds)
    writer.close(5.0)
    return b"".join(written).decode().splitlines()


def line(**given) -> dict:
    (text,) = lines(**given)
    return json.loads(text)


def test_a_healthy_request_is_told_only_if_it_is_of_the_sample() -> None:
    assert lines(chance=NEVER) == []
    assert line(chance=ALWAYS)["why"] == "sample"


def test_failed_and_slow_ones_are_always_told() -> None:
    assert line(code=500, error="INTERNAL")["why"] == "failed"
    assert line(code=429, error="RATE_LIMITED")["why"] == "failed"
    assert line(seconds=1.5)["why"] == "slow"


def test_only_what_the_server_is_to_blame_for_is_an_error() -> None:
    def level(code: int, **met: object) -> str:
        return line(code=code, error="X", timeline=passed(**met))["level"]

    assert (level(500), level(503), level(404)) == ("error", "error", "info")
    # What isn't offered, and a deadline that the client chose.
    assert (level(501, by_client=True), level(504, by_client=True)) == ("info", "info")


def test_a_stream_may_take_long_once_it_has_begun() -> None:
    assert lines(timeline=passed(streaming=True, answered=1.5), seconds=60.0) == []
    assert line(timeline=passed(streaming=True, answered=4.0), seconds=60.0)["why"] == "slow"


def test_a_line_says_what_a_request_met() -> None:
    told = line(chance=ALWAYS, tenants=["acme"])
    assert told == {
        "time": "2001-09-09T01:46:40.000Z",
        "level": "info",
        "logger": "request",
        "why": "sample",
        "request_id": "r-1",
        "trace_id": TRACE,
        "face": "http",
        "code": 200,
        "tenant": "acme",
        "route": "fraud",
        "arm": "stable",
        "model": "m",
        "version": "3",
        "attempts": 2,
        "instance": "two",
        "total_ms": pytest.approx(10.0),
        "queue_ms": 2.0,
        "compute_ms": 5.0,
        "overhead_ms": pytest.approx(3.0),
        "batch_rows": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
    }


def test_a_streams_execution_is_that_of_all_its_parts() -> None:
    told = line(chance=ALWAYS, timeline=passed(streaming=True, used=Used(compute_us=9000)))
    assert (told["compute_ms"], told["overhead_ms"]) == (9.0, 0.0)


def test_subjects_are_never_named_and_tenants_only_where_that_is_configured() -> None:
    (text,) = lines(chance=ALWAYS)
    assert json.loads(text)["tenant"] == "other"
    assert "alice" not in text
    assert "acme" not in text


def test_a_clients_own_id_is_not_told_where_people_are_protected() -> None:
    protected = SimpleNamespace(spec=SimpleNamespace(privacy=object()))
    assert "request_id" not in line(chance=ALWAYS, timeline=passed(snapshot=protected))
    ours = passed(snapshot=protected, named_here=True)
    assert line(chance=ALWAYS, timeline=ours)["request_id"] == "r-1"


def test_what_was_refused_by_its_head_is_told_as_well() -> None:
    told = line(code=401, error="UNAUTHENTICATED", timeline=Timeline(1.0))
    assert (told["code"], told["error"]) == (401, "UNAUTHENTICATED")
    assert "tenant" not in told


def test_for_people_it_is_a_sentence() -> None:
    (text,) = lines(format_="text", code=503, error="UNAVAILABLE")
    assert text == (
        "ERROR request: 503 UNAVAILABLE m on fraud/stable in 10.0 ms (queue 2.0, compute 5.0),"
        " failed, id r-1"
    )


def test_a_flood_of_failures_is_bounded_and_counted() -> None:
    seconds = iter([1.0] * 500 + [2.0] * 500)
    writer = LogWriter(lambda line: None)
    made = log(writer, wall=lambda: next(seconds))
    for _ in range(1000):
        made("m", "http", 429, "RATE_LIMITED", passed(), 1.01)
    writer.close(5.0)
    assert (writer.written, made.omitted) == (2 * MOST, 1000 - 2 * MOST)
    assert made.dropped == 0


def test_one_tenants_refusals_hide_no_failures() -> None:
    written: list[bytes] = []
    writer = LogWriter(written.append)
    made = log(writer)
    for _ in range(500):
        made("m", "http", 429, "RATE_LIMITED", passed(), 1.01)
    made("m", "http", 503, "UNAVAILABLE", passed(), 1.01)
    made("m", "http", 200, "", passed(), 3.01)
    writer.close(5.0)
    assert [json.loads(each)["code"] for each in written[-2:]] == [503, 200]


def test_requests_leave_room_for_what_else_the_process_has_to_say() -> None:
    freed = threading.Event()
    writer = LogWriter(lambda line: freed.wait(30.0))
    seconds = iter(range(1_000_000))
    made = log(writer, wall=lambda: float(next(seconds)))
    for _ in range(WAITING + 500):
        made("m", "http", 500, "INTERNAL", passed(), 1.01)
    assert made.dropped > 0
    assert writer.put(lambda: "the routes are refused")
    freed.set()
    writer.close(30.0)
    assert writer.written + made.dropped == WAITING + 501


def test_what_parts_of_a_gateway_say_is_json_too() -> None:
    record = logging.LogRecord("gateway.hub", logging.WARNING, "", 0, "lost %s", ("it",), None)
    told = json.loads(JsonFormatter().format(record))
    assert datetime.fromisoformat(told.pop("time"))
    assert told == {"level": "warning", "logger": "gateway.hub", "message": "lost it"}


def test_half_a_pair_of_surrogates_loses_no_line() -> None:
    record = logging.LogRecord("gateway", logging.ERROR, "", 0, "file %s", ("bad\udcff",), None)
    assert json.loads(JsonFormatter().format(record))["message"] == "file bad\\udcff"
