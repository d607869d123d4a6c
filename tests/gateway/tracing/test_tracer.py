"""Which requests are traced, and how many of those that only turned out to be slow or failed."""

from gateway.tracing.settings import TelemetrySettings
from gateway.tracing.tracer import Tracer, untraced
from protos.shares import Rate
from protos.span import Span
from protos.timeline import Attempt, Timeline
from protos.trace_context import begin, is_sampled, read

SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = SAMPLED[:-2] + "00"


class Kept(list[Span]):
    put = list.extend


def tracer(spans: Kept, *, chance: float = 1.0, **settings: object) -> Tracer:
    made = TelemetrySettings.model_validate({"sample": "10%", **settings})
    where = {"http": {"server.address": "gate", "server.port": 8000}}
    return Tracer(made, spans, lambda: chance, servers=where)


def over(by: Tracer, *, code: int = 200, now: float = 100.1, parent: str = "", **noted) -> Timeline:
    timeline = Timeline(100.0)
    timeline.parent = parent
    by.begin(timeline)
    for name, value in noted.items():
        setattr(timeline, name, value)
    error = "UNAVAILABLE" if code >= 500 else ""
    by.over(timeline, model="m", face="http", code=code, error=error, now=now)
    return timeline


def test_a_share_of_the_traces_that_begin_here_is_sampled() -> None:
    spans = Kept()
    over(tracer(spans, chance=0.1))
    assert spans == []
    timeline = over(tracer(spans, chance=0.09))
    (request,) = spans
    assert timeline.sampled_trace == f"{request.trace_id:032x}"
    assert is_sampled(timeline.traceparent)


def test_a_clients_decision_is_kept_either_way() -> None:
    spans = Kept()
    over(tracer(spans, chance=0.0), parent=UNSAMPLED)
    assert spans == []
    over(tracer(spans, sample="0%"), parent=SAMPLED)
    assert [span.trace_id for span in spans] == [read(SAMPLED).trace_id]


def test_a_slow_request_is_traced_in_retrospect() -> None:
    spans = Kept()
    by = tracer(spans, slow="1s")
    over(by, now=100.999)
    assert spans == []
    timeline = over(by, now=101.0)
    (request,) = spans
    assert request.attributes["penstock.retrospective"] is True
    assert (request.trace_id, request.span_id) == read(timeline.traceparent)[:2]
    assert (by.sampled, by.retrospective) == (0, 1)


def test_a_stream_is_slow_by_its_first_part() -> None:
    spans = Kept()
    over(tracer(spans), now=160.0, streaming=True, answered=100.5)
    assert spans == []
    over(tracer(spans), now=160.0, streaming=True, answered=101.5)
    assert len(spans) == 1


def test_a_failure_is_traced_in_retrospect_with_what_the_backend_told() -> None:
    spans = Kept()
    attempt = Attempt("one", None, 1, 100.0, answered=100.05, ended=100.05, parts=1)
    over(tracer(spans), code=503, attempts=[attempt])
    assert [span.name for span in spans][2:] == ["queue", "execute"]
    assert spans[0].error == "UNAVAILABLE"


def test_refusals_are_not_traced() -> None:
    spans = Kept()
    over(tracer(spans), code=429)
    assert spans == []


def test_deadlines_that_clients_chose_take_nobodys_place() -> None:
    spans = Kept()
    by = tracer(spans, retrospective="1/s")
    for _ in range(50):
        over(by, code=504, by_client=True)
    over(by, code=500)
    assert (len(spans), by.retrospective, by.unkept) == (1, 1, 0)


def test_an_outage_fills_no_collector() -> None:
    spans = Kept()
    by = tracer(spans, retrospective="2/s")
    for _ in range(50):
        over(by, code=503)
    assert (by.retrospective, by.unkept) == (2, 48)
    over(by, code=503, now=100.6)  # half a second later
    assert by.retrospective == 3
    over(by, code=503, now=100.6)
    assert by.retrospective == 3


def test_without_a_collector_ids_go_on_and_nothing_is_kept() -> None:
    by = untraced()
    timeline = over(by, code=503, now=200.0)
    assert not is_sampled(timeline.traceparent)
    assert timeline.sampled_trace == ""
    assert is_sampled(over(by, parent=SAMPLED).traceparent)  # which others may keep


def test_the_servers_address_is_where_the_face_listens() -> None:
    spans = Kept()
    over(tracer(spans), parent=SAMPLED)
    assert spans[0].attributes.items() >= {("server.address", "gate"), ("server.port", 8000)}


def test_copies_are_children_of_what_they_are_copies_of() -> None:
    spans = Kept()
    by = tracer(spans)
    primary = begin(SAMPLED, sampled=True)
    attempt = Attempt("one", None, 1, 100.0, span_id=5, shadow=True, ended=100.1)
    by.copied(primary, Timeline(100.0, attempts=[attempt]), 100.2)
    by.copied(begin("", sampled=False), Timeline(100.0, attempts=[attempt]), 100.2)
    (copy,) = spans
    assert copy.parent_id == read(primary).span_id
    assert copy.attributes["penstock.shadow"] is True


def test_a_worker_may_trace_ten_slow_or_failed_requests_a_second_by_default() -> None:
    assert TelemetrySettings().retrospective == Rate(10.0, 1.0)
