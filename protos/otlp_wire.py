"""Our spans as OTLP's messages, for the SDK's exporter to send.

Straight into the messages: by way of the SDK's own spans it costs four times as much
(`python -m benchmarks tracing`), in a thread that shares the interpreter with the event loop.
Loaded by the first exporter that is made, since the SDK takes a third of a second.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from grpc import Channel
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.version import __version__ as sdk

from protos.span import Attributes, Span, Value

SCOPE = "penstock"
_REMOTE_IS_KNOWN = otlp.SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE = _REMOTE_IS_KNOWN | otlp.SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_SAMPLED = 1


class Exporter(OTLPSpanExporter):
    """The SDK's exporter (its connection, its tries and its TLS) of our spans."""

    def __init__(self, resource: Attributes, **settings: Any) -> None:
        super().__init__(**settings)
        whose = {
            **resource,
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": sdk,
        }
        self._whose = Resource(attributes=_pairs(whose))
        self.rejected = 0  # of the last batch that was sent
        # The SDK doesn't look at what collectors answer; it makes a stub for each connection.
        self._stub = self._listening
        self._client = self._listening(self._channel)  # type: ignore[assignment,arg-type]

    def _listening(self, channel: Channel) -> TraceServiceStub:
        stub = TraceServiceStub(channel)  # type: ignore[no-untyped-call]
        send = stub.Export

        def export(**given: Any) -> None:
            self.rejected = send(**given).partial_success.rejected_spans

        stub.Export = export
        return stub

    def export(self, spans: Sequence[Span]) -> SpanExportResult:  # type: ignore[override]
        return self._export(spans)  # type: ignore[arg-type]

    def _translate_data(self, data: Sequence[Span]) -> ExportTraceServiceRequest:  # type: ignore[override]
        return encode(self._whose, data)

    def _count_data(self, data: Sequence[Span]) -> int:  # type: ignore[override]
        return len(data)


def encode(resource: Resource, spans: Sequence[Span]) -> ExportTraceServiceRequest:
    scope = otlp.ScopeSpans(
        scope=InstrumentationScope(name=SCOPE), spans=[_span(each) for each in spans]
    )
    return ExportTraceServiceRequest(
        resource_spans=[otlp.ResourceSpans(resource=resource, scope_spans=[scope])]
    )


def _span(span: Span) -> otlp.Span:
    made = otlp.Span(
        trace_id=span.trace_id.to_bytes(16),
        span_id=span.span_id.to_bytes(8),
        name=span.name,
        kind=span.kind + 1,  # type: ignore[arg-type]
        start_time_unix_nano=span.start,
        end_time_unix_nano=span.end,
        attributes=_pairs(span.attributes),
        flags=_SAMPLED | (_REMOTE if span.remote else _REMOTE_IS_KNOWN),
    )
    if span.parent_id:
        made.parent_span_id = span.parent_id.to_bytes(8)
    if span.tracestate:
        made.trace_state = span.tracestate
    if span.error:
        made.status.code = otlp.Status.STATUS_CODE_ERROR
        made.status.message = span.error
    for event in span.events:
        made.events.add(
            name=event.name, time_unix_nano=event.at, attributes=_pairs(event.attributes)
        )
    for link in span.links:
        made.links.add(
            trace_id=link.trace_id.to_bytes(16),
            span_id=link.span_id.to_bytes(8),
            attributes=_pairs(link.attributes),
        )
    return made


def _pairs(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [_pair(key, value) for key, value in attributes.items()]


@lru_cache(2048, typed=True)  # True and 1 are the same key otherwise
def _pair(key: str, value: Value) -> KeyValue:
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=key, value=AnyValue(double_value=value))
    return KeyValue(key=key, value=AnyValue(string_value=value))
