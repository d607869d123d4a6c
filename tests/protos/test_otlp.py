"""Spans over a real socket, as a collector gets them; and collectors that are not there."""

from dataclasses import replace
from pathlib import Path

import pytest

from protos.errors import PenstockError
from protos.otlp import Collector, OtlpExporter, resource_of
from protos.span import Event, Link, Span, SpanKind
from tests.otlp_collector import free_endpoint, receiving

SPAN = Span(
    0x4BF92F3577B34DA6A3CE929D0E0E4736,
    0x00F067AA0BA902B7,
    0x1,
    "work",
    SpanKind.CLIENT,
    1_000_000_000,
    2_000_000_000,
    {"text": "a", "number": 5, "share": 0.5, "true": True},
    (Event("first_part", 1_500_000_000, {"penstock.parts": 3}),),
    (Link(2, 3),),
    "LOST",
    True,
    "vendor=1",
)


def test_a_span_arrives_as_it_was(tmp_path: Path) -> None:
    headers = tmp_path / "headers"
    headers.write_text("Authorization: Bearer secret\n\nx-org: 7\n")
    with receiving() as traces:
        exporter = OtlpExporter(
            Collector(endpoint=traces.endpoint, headersFile=headers), resource_of("s", "i")
        )
        assert exporter([SPAN, replace(SPAN, error="", parent_id=0, tracestate="")])
        exporter.close()
    one, other = traces.spans
    assert one.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert (one.span_id, one.parent_id) == ("00f067aa0ba902b7", "0000000000000001")
    assert (one.name, one.kind, one.start, one.end) == ("work", "CLIENT", SPAN.start, SPAN.end)
    assert one.attributes == dict(SPAN.attributes)
    assert one.events == [("first_part", {"penstock.parts": 3})]
    assert one.links == [(f"{2:032x}", f"{3:016x}")]
    assert (one.failed, one.error, one.tracestate) == (True, "LOST", "vendor=1")
    assert (other.failed, other.parent_id, other.tracestate) == (False, "", "")
    assert one.resource.items() >= {
        ("service.name", "s"),
        ("service.instance.id", "i"),
        ("telemetry.sdk.language", "python"),
    }
    assert "process.pid" in one.resource
    assert traces.metadata[0].items() >= {("authorization", "Bearer secret"), ("x-org", "7")}


def test_nobody_listening_is_told_once_and_raises_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protos.otlp.TIMEOUT", 0.2)
    exporter = OtlpExporter(Collector(endpoint=free_endpoint()), resource_of("s", "i"))
    assert not exporter([SPAN])
    assert not exporter([SPAN])
    exporter.close()
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        f"the collector at {exporter.endpoint} takes no spans; they are lost"
    ]


def test_what_a_collector_rejects_is_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    with receiving() as traces:
        exporter = OtlpExporter(Collector(endpoint=traces.endpoint), resource_of("s", "i"))
        traces.rejected = 2
        assert exporter([SPAN] * 3) == 1
        traces.rejected = 0
        assert exporter([SPAN] * 3) == 3
        exporter.close()
    assert f"the collector at {exporter.endpoint} rejects spans; they are lost" in caplog.messages


@pytest.mark.parametrize("text", ["no colon", ": nothing"])
def test_a_headers_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "headers"
    file.write_text(text)
    collector = Collector(endpoint="http://127.0.0.1:1", headersFile=file)
    with pytest.raises(PenstockError, match=r"headersFile: .* has a line"):
        OtlpExporter(collector, resource_of("s", "i"))
    missing = collector.model_copy(update={"headers_file": tmp_path / "none"})
    with pytest.raises(PenstockError, match="can't be read"):
        OtlpExporter(missing, resource_of("s", "i"))
