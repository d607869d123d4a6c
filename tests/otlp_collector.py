"""A place that spans are sent to: rotel, a real collector, and behind it what reads its OTLP.

The gateway and the backends talk to the collector, and that talks to a gRPC server of the test;
both are real sockets, and nothing of what is looked at was made by Penstock's own code.
"""

import importlib.util
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp

from chaos.ports import free_ports
from gateway.tracing.tree import STAGES
from protos.orphans import die_with

KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT"}


@dataclass(frozen=True)
class Received:
    """A span as it came over the wire."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start: int
    end: int
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    links: list[tuple[str, str]]
    error: str
    failed: bool
    tracestate: str
    resource: dict[str, Any]

    @property
    def service(self) -> str:
        return str(self.resource["service.name"])

    @property
    def context(self) -> tuple[str, str]:
        return self.trace_id, self.span_id


@dataclass
class Traces(TraceServiceServicer):
    """Everything that arrived; `requests` as it came."""

    spans: list[Received] = field(default_factory=list)
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    rejected: int = 0  # what it says of each batch
    endpoint: str = ""
    collector: subprocess.Popen[bytes] | None = None

    def Export(
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        self.requests.append(request)
        self.metadata.append({str(k): str(v) for k, v in context.invocation_metadata()})
        for group in request.resource_spans:
            resource = _plain(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [_received(span, resource) for span in scope.spans]
        told = ExportTracePartialSuccess(rejected_spans=self.rejected)
        return ExportTraceServiceResponse(partial_success=told if self.rejected else None)

    def of(self, trace_id: str) -> list[Received]:
        return [span for span in self.spans if span.trace_id == trace_id]


@dataclass(frozen=True)
class Tree:
    """The spans of one trace that hang together, by who stands below whom."""

    spans: list[Received]

    def below(self, parent: Received | None) -> list[Received]:
        """In the order of their beginnings; of None: those whose parent isn't here."""
        if parent is None:
            known = {span.span_id for span in self.spans}
            found = [span for span in self.spans if span.parent_id not in known]
        else:
            found = [span for span in self.spans if span.parent_id == parent.span_id]
        return sorted(found, key=lambda span: (span.start, span.end))

    @property
    def root(self) -> Received:
        (root,) = self.below(None)
        return root

    def named(self, name: str, **attributes: Any) -> list[Received]:
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        return [
            span
            for span in sorted(self.spans, key=lambda span: span.start)
            if span.name == name and wanted.items() <= span.attributes.items()
        ]

    def shape(self) -> Any:
        """Names, nested: `("root", [("child", []), …])`.

        Without the stages that a busy machine may have made long.
        """

        def nested(span: Received) -> Any:
            below = [each for each in self.below(span) if each.name not in STAGES.values()]
            return (span.name, [nested(each) for each in below])

        return nested(self.root)


@contextmanager
def receiving(port: int = 0) -> Iterator[Traces]:
    """A gRPC server that takes OTLP."""
    traces = Traces()
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    add_TraceServiceServicer_to_server(traces, server)  # type: ignore[no-untyped-call]
    found = server.add_insecure_port(f"127.0.0.1:{port}")
    traces.endpoint = f"http://127.0.0.1:{found}"
    server.start()
    try:
        yield traces
    finally:
        server.stop(None).wait()


@contextmanager
def collecting(folder: Path) -> Iterator[Traces]:
    """The same behind rotel, whose address `endpoint` is then."""
    package = importlib.util.find_spec("rotel")
    if package is None or package.origin is None:
        pytest.skip("rotel is not here (pip install rotel; it is made for Linux)")
    program = Path(package.origin).parent / "rotel-agent"
    grpc_port, http_port = free_ports(2)
    with receiving() as traces, (folder / "rotel.log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(program),
                "start",
                *("--pid-file", str(folder / "rotel.pid")),
                *("--log-file", str(folder / "rotel-agent.log")),
                *("--otlp-grpc-endpoint", f"127.0.0.1:{grpc_port}"),
                *("--otlp-http-endpoint", f"127.0.0.1:{http_port}"),
                *("--exporter", "otlp", "--otlp-exporter-endpoint", traces.endpoint),
                "--disable-batching",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(die_with, os.getpid()),
        )
        try:
            _wait_for(grpc_port, process, folder / "rotel.log")
            traces.collector = process
            traces.endpoint = f"http://127.0.0.1:{grpc_port}"
            yield traces
        finally:
            process.terminate()
            process.wait(10.0)


def complete(
    traces: Traces, trace_id: str, wait: Callable[[Callable[[], bool], str], object], *names: str
) -> Tree:
    """The trace when at least the spans of these names are there."""

    def there() -> bool:
        found = [span.name for span in traces.of(trace_id)]
        return all(found.count(name) >= names.count(name) for name in names)

    wait(there, f"the spans {names} of {trace_id}")
    return Tree(traces.of(trace_id))


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    try:
        grpc.channel_ready_future(channel).result(timeout=30.0)
    except grpc.FutureTimeoutError:
        words = log.read_text(errors="replace")
        raise AssertionError(f"rotel ({process.poll()}) doesn't listen:\n{words}") from None
    finally:
        channel.close()


def _received(span: otlp.Span, resource: dict[str, Any]) -> Received:
    return Received(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        KINDS[span.kind],
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _plain(span.attributes),
        [(event.name, _plain(event.attributes)) for event in span.events],
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        span.status.message,
        span.status.code == otlp.Status.STATUS_CODE_ERROR,
        span.trace_state,
        resource,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each) for each in attributes}


def _value(pair: KeyValue) -> Any:
    kind = pair.value.WhichOneof("value")
    return getattr(pair.value, kind) if kind else None


def free_endpoint() -> str:
    """An address at which nothing listens."""
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{each.getsockname()[1]}"
